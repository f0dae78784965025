#include "support/bench.hpp"

#include <algorithm>
#include <cmath>

#include "support/team.hpp"
#include "support/turns.hpp"

namespace bench {

namespace {

std::size_t whole_steps(double n, std::size_t step, std::size_t n_max) {
    const auto steps = static_cast<std::size_t>(std::max(1.0, std::ceil(n / static_cast<double>(step))));
    return std::min(steps, std::max<std::size_t>(1, n_max / step)) * step;
}

double round_ns(team& threads, subject& who, std::size_t n) {
    if (who.before_round) who.before_round();
    return threads.run([&](unsigned thread) { who.run(thread, n); });
}

}  // namespace

std::size_t calibrated(const std::function<double(std::size_t n)>& took_ns, std::size_t step, std::size_t n_max,
                       double aim_ns) {
    const auto tried = [&](std::size_t n) { return std::min(took_ns(n), took_ns(n)); };
    std::size_t n = step;
    double took = tried(n);
    while (took < aim_ns / 4 && n <= n_max / 2) took = tried(n *= 2);
    return whole_steps(static_cast<double>(n) * aim_ns / took, step, n_max);
}

std::vector<std::vector<double>> measure(const micro_bench& bench, const settings& how,
                                         const std::function<void(unsigned round)>& on_round) {
    const std::size_t count = bench.candidates.size();
    // Subjects go before the threads do their first work and after the threads have ended.
    std::vector<subject> subjects;
    for (const candidate& each : bench.candidates) subjects.push_back(each.make());
    team threads(bench.threads);

    std::vector<std::size_t> n(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto round = [&](std::size_t tried) { return round_ns(threads, subjects[i], tried); };
        n[i] = calibrated(round, bench.step, subjects[i].n_max, how.round_ms * 1e6);
        round(n[i]);  // finding n was the warm-up; now at full length
    }

    std::vector<std::vector<double>> samples(count, std::vector<double>(how.rounds));
    in_turn(how.rounds, count, [&](unsigned round, std::size_t i) {
        on_round(round);
        samples[i][round] = round_ns(threads, subjects[i], n[i]) / static_cast<double>(n[i]);
    });
    return samples;
}

}  // namespace bench

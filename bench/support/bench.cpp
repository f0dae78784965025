#include "support/bench.hpp"

#include <algorithm>
#include <cmath>

#include "support/team.hpp"

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

// The n that fills a round; finding it is the warm-up, too. The better of two tries counts, lest a moment's disturbance
// be taken for slowness.
std::size_t calibrated(team& threads, subject& who, std::size_t step, double aim_ns) {
    const auto tried = [&](std::size_t n) { return std::min(round_ns(threads, who, n), round_ns(threads, who, n)); };
    std::size_t n = step;
    double took = tried(n);
    while (took < aim_ns / 4 && n <= who.n_max / 2) took = tried(n *= 2);
    n = whole_steps(static_cast<double>(n) * aim_ns / took, step, who.n_max);
    round_ns(threads, who, n);
    return n;
}

}  // namespace

std::vector<std::vector<double>> measure(const micro_bench& bench, const settings& how,
                                         const std::function<void(unsigned round)>& on_round) {
    const std::size_t count = bench.candidates.size();
    // Subjects go before the threads do their first work and after the threads have ended.
    std::vector<subject> subjects;
    for (const candidate& each : bench.candidates) subjects.push_back(each.make());
    team threads(bench.threads);

    std::vector<std::size_t> n(count);
    for (std::size_t i = 0; i < count; ++i) n[i] = calibrated(threads, subjects[i], bench.step, how.round_ms * 1e6);

    std::vector<std::vector<double>> samples(count, std::vector<double>(how.rounds));
    for (unsigned round = 0; round < how.rounds; ++round) {
        on_round(round);
        for (std::size_t turn = 0; turn < count; ++turn) {
            const std::size_t i = (turn + round) % count;
            samples[i][round] = round_ns(threads, subjects[i], n[i]) / static_cast<double>(n[i]);
        }
    }
    return samples;
}

}  // namespace bench

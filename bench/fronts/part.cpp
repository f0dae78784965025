// The benches of pools over mimalloc and jemalloc: tidepool-front-bench, run once for each turn of each contestant.
#include "fronts/benches.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compare/mallocs.hpp"
#include "support/bench.hpp"
#include "support/command.hpp"
#include "support/runs.hpp"
#include "support/session.hpp"
#include "support/turns.hpp"
#include "ticks/part.hpp"

namespace bench {

namespace {

using nlohmann::json;

constexpr double turn_ms = 25;

// A contestant, and the pool that its ratio refers to.
struct front_entry {
    std::string who, front;
};

json once(const front_bench& b, const std::string& who, std::size_t n) {
    return json::parse(run({{front_program(), b.name, who, std::to_string(n)}}).output);
}

std::vector<front_entry> entries(session& now, const front_bench& b, const std::string& there) {
    std::vector<front_entry> all;
    for (const front_library& library : front_libraries())
        for (const std::string& who : library.all()) {
            if (!now.wanted(b.name, b.threads, who)) continue;
            if (there.find(who + '\n') != std::string::npos)
                all.push_back({who, library.front});
            else
                now.missing.insert(who);
        }
    return all;
}

// The same number of operations for all: what fills a turn on an allocator without a pool.
std::size_t operations(const front_bench& b, const std::string& who, bool quick) {
    if (b.work == front_work::grow) return b.step;
    const auto took_ns = [&](std::size_t n) { return once(b, who, n).at("ns").get<double>() * static_cast<double>(n); };
    const double ms = quick ? turn_ms / 3 : turn_ms;
    return calibrated(took_ns, b.step, std::numeric_limits<std::size_t>::max(), ms * 1e6);
}

// Contestants of one library stand together, its pool first.
void add(session& now, const front_bench& b, const std::vector<front_entry>& who, const all_runs& runs) {
    for (std::size_t i = 0; i < who.size();) {
        const std::string& front = who[i].front;
        std::vector<std::string> names;
        std::vector<std::vector<double>> samples;
        for (; i < who.size() && who[i].front == front; ++i) {
            names.push_back(who[i].who);
            samples.push_back(values(runs[i], "ns"));
            now.add(b.name, b.threads, "ns/pair", names.back(), samples.back()).memory =
                memory_use{.before = median_kib(runs[i], "before_kib"), .peak = median_kib(runs[i], "peak_kib")};
        }
        now.compare(names, samples, front);
    }
}

void run(session& now, const front_bench& b, const std::string& there) {
    const std::vector<front_entry> who = entries(now, b, there);
    if (who.empty()) return;
    const unsigned rounds = now.how.rounds_or(15, 5);
    now.progress.bench(b.name, fmt::format("{} contestants, {} rounds", who.size(), rounds));
    const auto direct = std::find_if(who.begin(), who.end(), [](const auto& each) { return each.who != each.front; });
    const std::size_t n = operations(b, direct == who.end() ? who.front().who : direct->who, now.how.quick);
    all_runs runs(who.size());
    in_turn(rounds, who.size(), [&](unsigned round, std::size_t i) {
        now.progress.step(fmt::format("round {} of {}", round + 1, rounds));
        runs[i].push_back(once(b, who[i].who, n));
    });
    add(now, b, who, runs);
}

}  // namespace

void run_fronts(session& now) {
    const std::string there = run({{front_program()}}).output;
    for (const front_bench& each : front_benches()) run(now, each, there);
    run_hold_up(now, there);
}

}  // namespace bench

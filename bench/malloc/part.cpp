// The benches of malloc and free: tidepool-malloc-bench, run once for each turn under each contestant.
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

namespace bench {

namespace {

using nlohmann::json;

struct malloc_bench {
    const char* name;  // as the program knows it
    unsigned threads;
    std::size_t step;     // operations are a multiple of it
    double ms;            // a turn on libc; 0: one step, whatever it takes
    unsigned rounds;      // of a full run
    bool memory = false;  // of interest here
};

constexpr malloc_bench benches[] = {
    {"pair-64", 1, 1000, 25, 31},
    {"pair-2000", 1, 1000, 25, 31},
    {"pair-16384", 1, 1000, 25, 31},
    {"batch-reverse", 1, 1000, 25, 31},
    {"batch-order", 1, 1000, 25, 31},
    {"random", 1, 1000, 25, 31},
    {"grow", 1, 3'000'000, 0, 11},
    {"handoff", 2, 1000, 25, 31, true},
    {"handoff-mixed", 4, 1000, 25, 31, true},
    {"server-2", 2, 10'000, 25, 31, true},
    {"server-16", 16, 10'000, 25, 31, true},
    {"bleed", 2, 1000, 200, 11, true},
    {"sleepers", 1000, 1000, 0, 3},
};

json once(const malloc_bench& b, const malloc_kind& who, std::size_t n) {
    return json::parse(run({{malloc_program(), b.name, std::to_string(n)}, who.library}).output);
}

// The same number of operations for all contestants: what fills a turn on libc.
std::size_t operations(const malloc_bench& b, const malloc_kind& libc, bool quick) {
    if (b.ms == 0) return b.step;
    const auto took_ns = [&](std::size_t n) {
        return once(b, libc, n).at("ns").get<double>() * static_cast<double>(n);
    };
    return calibrated(took_ns, b.step, std::numeric_limits<std::size_t>::max(), (quick ? b.ms / 3 : b.ms) * 1e6);
}

// One line of the table for each contestant, from one field of their runs.
void add(session& now, const std::string& name, const malloc_bench& b, const std::vector<std::string>& who,
         const all_runs& runs, const char* field, const char* unit) {
    std::vector<std::vector<double>> samples;
    for (std::size_t i = 0; i < who.size(); ++i) {
        samples.push_back(values(runs[i], field));
        result& r = now.add(name, b.threads, unit, who[i], samples[i]);
        if (b.memory)
            r.memory = {.peak = median_kib(runs[i], "peak_kib"), .after_drop = median_kib(runs[i], "after_kib")};
    }
    now.compare(who, samples, shim);
}

void run(session& now, const malloc_bench& b) {
    const std::string name = fmt::format("malloc-{}", b.name);
    const std::vector<malloc_kind> kinds = now.those_wanted(mallocs(), name, b.threads);
    if (kinds.empty()) return;
    const unsigned rounds = now.how.rounds_or(b.rounds, (b.rounds + 2) / 3);
    now.progress.bench(name, fmt::format("{} contestants, {} rounds", kinds.size(), rounds));
    const std::size_t n = operations(b, mallocs()[1], now.how.quick);
    all_runs runs(kinds.size());
    in_turn(rounds, kinds.size(), [&](unsigned round, std::size_t i) {
        now.progress.step(fmt::format("round {} of {}", round + 1, rounds));
        runs[i].push_back(once(b, kinds[i], n));
    });

    std::vector<std::string> who;
    for (const malloc_kind& each : kinds) who.push_back(each.who);
    if (b.name == std::string("sleepers")) {
        add(now, name, b, who, runs, "thread_kib", "KiB/thread");
        return;
    }
    add(now, name, b, who, runs, "ns", "ns/pair");
    if (b.name == std::string("grow")) add(now, name + "-first", b, who, runs, "first_ns", "ns/pair");
}

}  // namespace

void run_mallocs(session& now) {
    for (const malloc_bench& each : benches) run(now, each);
}

}  // namespace bench

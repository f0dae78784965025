// What Tidepool's malloc is to reach: the second table behind targets_of().
#include <initializer_list>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "compare/mallocs.hpp"
#include "support/summary.hpp"
#include "support/targets.hpp"

namespace bench {

namespace {

struct bench_name {
    const char* name;
    unsigned threads;
};

constexpr bench_name alone[] = {
    {"malloc-pair-64", 1},     {"malloc-pair-2000", 1}, {"malloc-pair-16384", 1}, {"malloc-batch-reverse", 1},
    {"malloc-batch-order", 1}, {"malloc-random", 1},    {"malloc-grow", 1},       {"malloc-grow-first", 1},
};

// Each with how many times as fast as the best of the others Tidepool is to be.
struct across_target {
    bench_name bench;
    double at_least;
};

constexpr bench_name bleed{"malloc-bleed", 2};
constexpr across_target across[] = {
    {{"malloc-handoff", 2}, 1},
    {{"malloc-handoff-mixed", 4}, 1},
    {{"malloc-server-2", 2}, 1},
    {{"malloc-server-16", 16}, 1},
    {bleed, 3},
};

constexpr bench_name programs[] = {{"run-compiler", 1}, {"run-json", 2}, {"run-sort", 2}, {"run-redis", 1}};

using names = std::initializer_list<const char*>;
constexpr names peers_but_libc = {"mimalloc", "jemalloc", "tcmalloc"};
constexpr names all_peers = {"libc", "mimalloc", "jemalloc", "tcmalloc"};

const result* find(const std::vector<result>& all, const bench_name& bench, const char* who) {
    return find(all, bench.name, bench.threads, who);
}

// The best of these that was measured beside Tidepool; null where none was.
const result* fastest(const std::vector<result>& all, const bench_name& bench, names who) {
    const result* best = nullptr;
    for (const char* each : who) {
        const result* r = find(all, bench, each);
        if (r && r->ratio && (!best || *r->ratio < *best->ratio)) best = r;
    }
    return best;
}

// The same by peak of resident memory.
const result* leanest(const std::vector<result>& all, const bench_name& bench, names who) {
    const result* best = nullptr;
    for (const char* each : who) {
        const result* r = find(all, bench, each);
        if (r && r->memory && (!best || r->memory->peak < best->memory->peak)) best = r;
    }
    return best;
}

// Over all the benches; nothing where one of them was not measured, since the mean of some would be another figure.
template <class Benches>
std::optional<double> geometric_mean(const std::vector<result>& all, const Benches& benches, const char* against) {
    std::vector<double> ratios;
    for (const bench_name& each : benches) {
        const result* r = find(all, each, against);
        if (!r || !r->ratio) return {};
        ratios.push_back(*r->ratio);
    }
    return bench::geometric_mean(ratios);
}

class list {
public:
    explicit list(const std::vector<result>& all) : all_(all) {}

    // Against the fastest of these.
    void speed(const bench_name& bench, names who, double at_least) {
        const result* best = fastest(all_, bench, who);
        if (!best) return;
        const std::string against = who.size() == 1 ? best->who : fmt::format("the best of {}", who.size());
        const std::string by = who.size() == 1 ? "" : fmt::format(" ({})", best->who);
        add(bench.name, against, fmt::format("{:.3g} times as fast", at_least),
            fmt::format("{:.2f} times{}", *best->ratio, by), *best->ratio >= at_least);
    }

    void mean(const char* what, const char* against, std::optional<double> reached, double more_than) {
        if (!reached) return;
        add(what, against, fmt::format("over {:.3g} times as fast", more_than), fmt::format("{:.3f} times", *reached),
            *reached > more_than);
    }

    // Peak memory against the least of these.
    void peak(const bench_name& bench, names who, double at_most) {
        const result* ours = find(all_, bench, shim);
        const result* best = leanest(all_, bench, who);
        if (!ours || !ours->memory || !best) return;
        const double times = static_cast<double>(ours->memory->peak) / static_cast<double>(best->memory->peak);
        add(std::string(bench.name) + ", peak memory", best->who, fmt::format("within {:.3g} times", at_most),
            fmt::format("{:.2f} times", times), times <= at_most);
    }

    // Never slower than libc by more than that.
    void not_slower(const bench_name& bench, double per_cent) {
        const result* libc = fastest(all_, bench, {"libc"});
        if (!libc) return;
        const double more = 100 * (1 / *libc->ratio - 1);
        add(bench.name, libc->who, fmt::format("at most {:+.3g} % time", per_cent), fmt::format("{:+.1f} %", more),
            more <= per_cent);
    }

    void sleeper(double kib_max) {
        const result* ours = find(all_, {"malloc-sleepers", 1000}, shim);
        if (ours)
            all_targets.push_back({"malloc-sleepers, resident beyond the stack", fmt::format("{:.3g} KiB", kib_max),
                                   fmt::format("{:.1f} KiB", ours->median), ours->median <= kib_max});
    }

    std::vector<target> all_targets;

private:
    void add(const std::string& what, const std::string& against, std::string limit, std::string reached, bool ok) {
        all_targets.push_back({fmt::format("{}, against {}", what, against), std::move(limit), std::move(reached), ok});
    }

    const std::vector<result>& all_;
};

}  // namespace

std::vector<target> malloc_targets_of(const std::vector<result>& results) {
    list targets(results);
    for (const bench_name& each : alone) {
        targets.speed(each, {"libc"}, 2);
        targets.speed(each, peers_but_libc, 1);
    }
    targets.mean("geometric mean of these", "mimalloc", geometric_mean(results, alone, "mimalloc"), 1.3);
    for (const across_target& each : across) targets.speed(each.bench, all_peers, each.at_least);
    targets.peak(bleed, all_peers, 1.2);
    targets.sleeper(64);
    for (const bench_name& each : programs) {
        targets.not_slower(each, 2);
        targets.peak(each, {"libc"}, 1.15);
    }
    targets.mean("geometric mean of the programs", "libc", geometric_mean(results, programs, "libc"), 1);
    return targets.all_targets;
}

}  // namespace bench

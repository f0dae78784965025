// tidepool-ticks [WHO SECONDS]: how long a working thread is held up when 64 pools with 100 000 idle blocks age, and
// what the aging costs, as one line of JSON. Without arguments it says who there is: "UPSTREAM, HOW", see
// bench/README.md.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>
#include <tidepool/tick.hpp>

#include "ticks/town.hpp"
#include "ticks/visits.hpp"
#include "ticks/worker.hpp"

#if defined(TIDEPOOL_BENCH_MIMALLOC)
#include <tidepool/mimalloc.hpp>
#endif

namespace bench {

namespace {

using std::chrono::milliseconds;
using clock = std::chrono::steady_clock;

constexpr unsigned workers = 2;
constexpr milliseconds interval{1000};  // the default

// Who performs the ticks.
enum class driver {
    pools,    // whoever comes by when one is due, as by default
    by_hand,  // a thread that does nothing else and whose processor time is measured
    nobody,
};

struct way {
    const char* name;
    driver by;
    unsigned restocked;  // once in so many intervals
};

constexpr way ways[] = {
    {"kept", driver::pools, 1},
    {"let go", driver::pools, 2},
    {"no ticks", driver::nobody, 1},
    {"kept, by hand", driver::by_hand, 1},
    {"let go, by hand", driver::by_hand, 2},
};

struct upstream_kind {
    const char* name;
    tidepool::upstream (*make)() noexcept;
};

constexpr upstream_kind upstreams[] = {
#if defined(TIDEPOOL_BENCH_MIMALLOC)
    {"mimalloc", tidepool::mimalloc_upstream},
#endif
    {"pages", tidepool::pages_upstream},
};

std::string name_of(const upstream_kind& from, const way& how) { return std::string(from.name) + ", " + how.name; }

// Of no interval at all a pool would keep no idle spans either; of a day it does, as it does by default.
milliseconds interval_of(driver by) { return by == driver::pools ? interval : std::chrono::hours(24); }

// Goes round the pools, one after the other at equal distances, from a thread of its own.
void keep_stocked(town& of, unsigned restocked, const std::atomic<bool>& over) {
    const auto apart = std::chrono::nanoseconds(restocked * interval) / town_pools;
    auto next = clock::now();
    for (unsigned i = 0; !over.load(std::memory_order_relaxed); ++i) {
        of.restock(i);
        next = std::max(next + apart, clock::now());
        std::this_thread::sleep_until(next);
    }
}

double thread_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Once an interval; without it, sleeps as long.
struct tick_cost {
    double cpu_seconds = 0;
    double cached = 0;  // before a tick, on average
};

tick_cost tick_by_hand(const town& of, std::size_t intervals, bool measured) {
    tick_cost cost;
    for (std::size_t i = 0; i < intervals; ++i) {
        std::this_thread::sleep_for(interval);
        if (!measured) continue;
        cost.cached += static_cast<double>(of.count().cached) / static_cast<double>(intervals);
        const double before = thread_seconds();
        tidepool::tick();
        cost.cpu_seconds += thread_seconds() - before;
    }
    return cost;
}

nlohmann::json run(const upstream_kind& from, const way& how, std::size_t seconds) {
    town all(from.make(), interval_of(how.by));
    for (unsigned i = 0; i < town_pools; ++i) all.restock(i);
    std::vector<worker> work;
    for (unsigned i = 0; i < workers; ++i) work.emplace_back(all, i);

    std::atomic<bool> counts = false, over = false;
    std::vector<std::thread> threads;
    for (worker& each : work) threads.emplace_back([&] { each.run(counts, over); });
    threads.emplace_back([&] { keep_stocked(all, how.restocked, over); });
    const bool by_hand = how.by == driver::by_hand;
    tick_by_hand(all, 2, by_hand);  // the first waves take fresh memory
    const town::sums before = all.count();
    counts = true;
    const std::uint64_t visits_before = visits_so_far().all;
    const tick_cost cost = tick_by_hand(all, seconds, by_hand);
    const std::uint64_t visits = visits_so_far().all - visits_before;
    counts = false;
    const town::sums after = all.count();
    over = true;
    for (std::thread& each : threads) each.join();

    findings found;
    for (const worker& each : work) {
        found.all.add(each.found().all);
        found.performed.add(each.found().performed);
        found.beside.add(each.found().beside);
        found.switches += each.found().switches;
    }
    times &performed = found.performed, &beside = found.beside;
    const double run_ns = 1e9 * static_cast<double>(seconds);
    return {{"operations", found.all.count()},
            {"p999_us", found.all.quantile_ns(0.999) / 1000},
            {"longest_us", found.all.longest_ns() / 1000},
            {"longest_calm_us", found.all.longest_calm_ns() / 1000},
            {"switches", found.switches},
            {"performed", performed.count()},
            {"performed_median_us", performed.quantile_ns(0.5) / 1000},
            {"performed_us", performed.longest_ns() / 1000},
            {"performed_calm_us", performed.longest_calm_ns() / 1000},
            {"performed_percent", 100 * performed.sum_ns() / run_ns},
            {"beside", beside.count()},
            {"beside_us", beside.longest_ns() / 1000},
            {"beside_calm_us", beside.longest_calm_ns() / 1000},
            {"with_tick_us", std::max(performed.longest_ns(), beside.longest_ns()) / 1000},
            {"with_tick_calm_us", std::max(performed.longest_calm_ns(), beside.longest_calm_ns()) / 1000},
            {"ticks", after.ticks - before.ticks},
            {"visits", visits},
            {"blocks_returned", after.returned - before.returned},
            {"blocks_cached", by_hand ? cost.cached : static_cast<double>(after.cached)},
            {"ticking_percent", 100 * cost.cpu_seconds / static_cast<double>(seconds)}};
}

}  // namespace

}  // namespace bench

// Without WHO all names are said; else that one is run.
int main(int argc, char** argv) {
    if (argc != 1 && argc != 3) {
        std::fputs("usage: tidepool-ticks [WHO SECONDS]\n", stderr);
        return EXIT_FAILURE;
    }
    for (const bench::upstream_kind& from : bench::upstreams)
        for (const bench::way& how : bench::ways) {
            const std::string name = bench::name_of(from, how);
            if (argc == 1) std::printf("%s\n", name.c_str());
            if (argc == 1 || name != argv[1]) continue;
            std::printf("%s\n", bench::run(from, how, std::strtoull(argv[2], nullptr, 10)).dump().c_str());
            return EXIT_SUCCESS;
        }
    if (argc == 1) return EXIT_SUCCESS;
    std::fprintf(stderr, "tidepool-ticks: nobody is called %s\n", argv[1]);
    return EXIT_FAILURE;
}

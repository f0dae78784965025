#include "ticks/hold_up.hpp"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
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

std::string name_of(const upstream_kind& below, const way& how) { return std::string(below.name) + ", " + how.name; }

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

nlohmann::json run(const upstream_kind& below, const way& how, std::size_t seconds) {
    town all(below.make(), interval_of(how.by));
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

    worker::findings found;
    for (const worker& each : work) found.add(each.found());
    const worker::meeting &performed = found.performed, &beside = found.beside;
    const double run_ns = 1e9 * static_cast<double>(seconds);
    return {{"operations", found.all.count()},
            {"p999_us", found.all.quantile_ns(0.999) / 1000},
            {"longest_us", found.all.longest_ns() / 1000},
            {"longest_calm_us", found.longest_calm_ns / 1000},
            {"switches", found.switches},
            {"performed", performed.all.count()},
            {"performed_median_us", performed.all.quantile_ns(0.5) / 1000},
            {"performed_us", performed.all.longest_ns() / 1000},
            {"performed_calm_us", performed.longest_calm_ns / 1000},
            {"performed_percent", 100 * performed.ns / run_ns},
            {"beside", beside.all.count()},
            {"beside_us", beside.all.longest_ns() / 1000},
            {"beside_calm_us", beside.longest_calm_ns / 1000},
            {"with_tick_us", std::max(performed.all.longest_ns(), beside.all.longest_ns()) / 1000},
            {"with_tick_calm_us", std::max(performed.longest_calm_ns, beside.longest_calm_ns) / 1000},
            {"ticks", after.ticks - before.ticks},
            {"visits", visits},
            {"blocks_returned", after.returned - before.returned},
            {"blocks_cached", by_hand ? cost.cached : static_cast<double>(after.cached)},
            {"ticking_percent", 100 * cost.cpu_seconds / static_cast<double>(seconds)}};
}

}  // namespace

std::vector<std::string> hold_up_contestants() {
    std::vector<std::string> all;
    for (const upstream_kind& below : upstreams)
        for (const way& how : ways) all.push_back(name_of(below, how));
    return all;
}

nlohmann::json hold_up(const std::string& who, std::size_t seconds) {
    for (const upstream_kind& below : upstreams)
        for (const way& how : ways)
            if (name_of(below, how) == who) return run(below, how, seconds);
    throw std::invalid_argument("nobody is called " + who);
}

}  // namespace bench

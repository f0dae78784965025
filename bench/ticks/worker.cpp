#include "ticks/worker.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <thread>

namespace bench {

namespace {

// How often the kernel took the processor away from the calling thread.
long involuntary_switches() {
    rusage use{};
    ::getrusage(RUSAGE_THREAD, &use);
    return use.ru_nivcsw;
}

}  // namespace

void worker::run(const std::atomic<bool>& counts, const std::atomic<bool>& over) {
    long before = 0;
    bool counted = false;
    auto next = clock::now();
    // Relaxed: a burst more or less.
    while (!over.load(std::memory_order_relaxed)) {
        const bool now_counts = counts.load(std::memory_order_relaxed);
        switches_seen_ = involuntary_switches();
        if (now_counts && !counted) before = switches_seen_;
        counted = now_counts;
        for (unsigned i = 0; i < burst; ++i) operation(now_counts);
        next = std::max(next + std::chrono::milliseconds(1), clock::now());
        std::this_thread::sleep_until(next);
    }
    found_.switches = static_cast<std::uint64_t>(involuntary_switches() - before);
}

// A wave of blocks of mixed sizes out of one pool, then all of them back, last first; the next wave out of the next pool.
void worker::operation(bool counts) {
    std::pmr::memory_resource& from = current();
    clock::time_point start, end;
    if (giving_) {
        const block last = wave_.back();
        wave_.pop_back();
        start = clock::now();
        from.deallocate(last.p, last.bytes);
        end = clock::now();
    } else {
        block next{nullptr, town_sizes.of(random_.roll())};
        start = clock::now();
        next.p = from.allocate(next.bytes);
        end = clock::now();
        *static_cast<volatile unsigned char*>(next.p) = 1;
        wave_.push_back(next);
    }
    const double ns = std::chrono::duration<double, std::nano>(end - start).count();
    if (counts) found_.all.add(ns);
    if (ns >= slow_ns) look_into(ns, counts);
    if (wave_.size() == wave_blocks) giving_ = true;
    if (wave_.empty()) {
        giving_ = false;
        ++wave_number_;
    }
}

// Outside the operation's time.
void worker::look_into(double ns, bool counts) {
    const long switches = involuntary_switches();
    const bool calm = switches == switches_seen_;
    switches_seen_ = switches;
    const std::uint64_t ticks = town_.ticks();
    const bool ticked = ticks != ticks_seen_;
    ticks_seen_ = ticks;
    if (!counts) return;
    if (calm) found_.longest_calm_ns = std::max(found_.longest_calm_ns, ns);
    if (!ticked) return;
    ++found_.with_tick;
    found_.with_tick_ns += ns;
    found_.longest_with_tick_ns = std::max(found_.longest_with_tick_ns, ns);
    if (calm) found_.longest_calm_with_tick_ns = std::max(found_.longest_calm_with_tick_ns, ns);
}

}  // namespace bench

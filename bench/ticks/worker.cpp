#include "ticks/worker.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "ticks/visits.hpp"

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

// A wave of blocks of mixed sizes out of one pool, then all of them back, last first; the next wave out of the next
// pool.
void worker::operation(bool counts) {
    std::pmr::memory_resource& from = current();
    if (giving_) {
        const block last = wave_.back();
        wave_.pop_back();
        timed(counts, [&] { from.deallocate(last.p, last.bytes); });
    } else {
        block next{nullptr, town_sizes.of(random_.roll())};
        timed(counts, [&] { next.p = from.allocate(next.bytes); });
        *static_cast<volatile unsigned char*>(next.p) = 1;
        wave_.push_back(next);
    }
    if (wave_.size() == wave_blocks) giving_ = true;
    if (wave_.empty()) {
        giving_ = false;
        ++wave_number_;
    }
}

template <class Work>
void worker::timed(bool counts, Work work) {
    const visits before = visits_so_far();
    const clock::time_point start = clock::now();
    work();
    const clock::time_point end = clock::now();
    const visits after = visits_so_far();

    const double ns = std::chrono::duration<double, std::nano>(end - start).count();
    bool calm = true;
    if (ns >= slow_ns) {
        const long switches = involuntary_switches();
        calm = switches == switches_seen_;
        switches_seen_ = switches;
    }
    if (!counts) return;
    found_.all.add(ns);
    if (calm) found_.longest_calm_ns = std::max(found_.longest_calm_ns, ns);
    if (after.own != before.own)
        found_.performed.add(ns, calm);
    else if (after.all != before.all)
        found_.beside.add(ns, calm);
}

void worker::meeting::add(double took_ns, bool calm) {
    all.add(took_ns);
    ns += took_ns;
    if (calm) longest_calm_ns = std::max(longest_calm_ns, took_ns);
}

void worker::meeting::add(const meeting& other) {
    all.add(other.all);
    ns += other.ns;
    longest_calm_ns = std::max(longest_calm_ns, other.longest_calm_ns);
}

void worker::findings::add(const findings& other) {
    all.add(other.all);
    performed.add(other.performed);
    beside.add(other.beside);
    longest_calm_ns = std::max(longest_calm_ns, other.longest_calm_ns);
    switches += other.switches;
}

}  // namespace bench

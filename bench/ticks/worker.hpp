// A working thread of tick-hold-up: at a steady rate it takes and gives back blocks of some of the pools, and notes how
// long each of these operations took.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "ticks/findings.hpp"
#include "ticks/town.hpp"
#include "ticks/visits.hpp"

namespace bench {

class worker {
public:
    worker(town& where, unsigned number) : town_(where), number_(number), random_(number + 1) {
        wave_.reserve(wave_blocks);
        found_.all = times(std::size_t{100} * 1000 * 60);  // of a minute: none is moved while the clock runs
    }

    // Until `over`. Nothing is noted before `counts`.
    void run(const std::atomic<bool>& counts, const std::atomic<bool>& over) {
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

    const findings& found() const { return found_; }

private:
    using clock = std::chrono::steady_clock;
    static constexpr unsigned own_pools = 8;
    static constexpr std::size_t wave_blocks = 1000;
    static constexpr unsigned burst = 100;   // operations, once a millisecond
    static constexpr double slow_ns = 2000;  // where the kernel may have been at it

    // How often the kernel took the processor away from the calling thread.
    static long involuntary_switches() {
        rusage use{};
        ::getrusage(RUSAGE_THREAD, &use);
        return use.ru_nivcsw;
    }

    // A wave of blocks of mixed sizes out of one pool, then all of them back, last first; the next wave out of the next
    // pool.
    void operation(bool counts) {
        std::pmr::memory_resource& from = town_.pool(number_ * own_pools + wave_number_ % own_pools);
        if (giving_) {
            const sized_block last = wave_.back();
            wave_.pop_back();
            timed(counts, [&] { from.deallocate(last.p, last.bytes); });
        } else {
            sized_block next{nullptr, town_sizes.of(random_.roll())};
            timed(counts, [&] { next.p = from.allocate(next.bytes); });
            write_byte(next.p);
            wave_.push_back(next);
        }
        if (wave_.size() == wave_blocks) giving_ = true;
        if (wave_.empty()) {
            giving_ = false;
            ++wave_number_;
        }
    }

    template <class Work>
    void timed(bool counts, Work work) {
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
        found_.all.add(ns, calm);
        if (after.own != before.own)
            found_.performed.add(ns, calm);
        else if (after.all != before.all)
            found_.beside.add(ns, calm);
    }

    town& town_;
    const unsigned number_;
    dice random_;
    std::vector<sized_block> wave_;
    unsigned wave_number_ = 0;
    bool giving_ = false;
    long switches_seen_ = 0;
    findings found_;
};

}  // namespace bench

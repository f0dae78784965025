// A working thread of tick-hold-up: at a steady rate it takes and gives back blocks of some of the pools, and notes how long
// each of these operations took.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/dice.hpp"
#include "ticks/histogram.hpp"
#include "ticks/town.hpp"

namespace bench {

class worker {
public:
    worker(town& where, unsigned number) : town_(where), number_(number), random_(number + 1) { wave_.reserve(wave_blocks); }

    // Until `over`. Nothing is noted before `counts`.
    void run(const std::atomic<bool>& counts, const std::atomic<bool>& over);

    struct findings {
        histogram all;
        // Operations in which a tick took place, of whichever pool, by whichever thread.
        std::uint64_t with_tick = 0;
        double longest_with_tick_ns = 0;
        double with_tick_ns = 0;          // all together
        // The same, without those in which the kernel took the processor away.
        double longest_calm_with_tick_ns = 0;
        double longest_calm_ns = 0;       // with or without a tick
        std::uint64_t switches = 0;       // involuntary
    };
    const findings& found() const { return found_; }

private:
    using clock = std::chrono::steady_clock;
    static constexpr unsigned own_pools = 8;
    static constexpr std::size_t wave_blocks = 1000;
    static constexpr unsigned burst = 100;  // operations, once a millisecond
    static constexpr double slow_ns = 2000;  // where it is worth asking why

    void operation(bool counts);
    void look_into(double ns, bool counts);
    tidepool::pool_resource& current() { return town_.pool(number_ * own_pools + wave_number_ % own_pools); }

    struct block {
        void* p;
        std::size_t bytes;
    };

    town& town_;
    const unsigned number_;
    dice random_;
    std::vector<block> wave_;
    unsigned wave_number_ = 0;
    bool giving_ = false;
    long switches_seen_ = 0;
    std::uint64_t ticks_seen_ = 0;
    findings found_;
};

}  // namespace bench

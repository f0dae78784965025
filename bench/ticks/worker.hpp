// A working thread of tick-hold-up: at a steady rate it takes and gives back blocks of some of the pools, and notes how
// long each of these operations took.
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
    worker(town& where, unsigned number) : town_(where), number_(number), random_(number + 1) {
        wave_.reserve(wave_blocks);
    }

    // Until `over`. Nothing is noted before `counts`.
    void run(const std::atomic<bool>& counts, const std::atomic<bool>& over);

    // Of the operations that met a tick: performed it, or were under way while another thread did.
    struct meeting {
        histogram all;
        double ns = 0;               // all together
        double longest_calm_ns = 0;  // of those in which the kernel did not take the processor away

        void add(double took_ns, bool calm);
        void add(const meeting& other);
    };
    struct findings {
        histogram all;
        meeting performed, beside;
        double longest_calm_ns = 0;  // with or without a tick
        std::uint64_t switches = 0;  // involuntary

        void add(const findings& other);
    };
    const findings& found() const { return found_; }

private:
    using clock = std::chrono::steady_clock;
    static constexpr unsigned own_pools = 8;
    static constexpr std::size_t wave_blocks = 1000;
    static constexpr unsigned burst = 100;   // operations, once a millisecond
    static constexpr double slow_ns = 2000;  // where the kernel may have been at it

    void operation(bool counts);
    template <class Work>
    void timed(bool counts, Work work);
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
    findings found_;
};

}  // namespace bench

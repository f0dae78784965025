// When a tick is due: a policy that is handed the time and reads no clock. Any thread.
//
// Invariant: of all callers of claim() at one time, exactly one gets a given tick, and two ticks are at least one
// interval apart.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

#include "base/fatal.hpp"
#include "base/test_peer.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class tick_deadline {
public:
    using time = std::chrono::nanoseconds;  // since any fixed moment
    static constexpr time never = time::max();

    // An interval of zero: never due.
    tick_deadline(time interval, time now) noexcept : interval_(interval), due_(after(now)) {}

    // Relaxed: a stale value makes a tick early to ask about or late by one look; claim() decides.
    time due() const noexcept { return time(due_.load(std::memory_order_relaxed)); }

    // True for the one caller that is to perform the tick that is due at `now`. The next is due an interval from now:
    // ticks that were missed are not made up for, because one does what they would have done.
    bool claim(time now) noexcept {
        time::rep due = due_.load(std::memory_order_relaxed);
        // Relaxed: the tick itself is guarded by the pool's lock; here only the number is contended for.
        return time(due) <= now && due_.compare_exchange_strong(due, after(now), std::memory_order_relaxed);
    }

    // Ends the program where an interval of zero has come due after all.
    void check() const noexcept {
        if (interval_ == time::zero() && due() != never) fatal("a pool that never ticks by itself is due to tick");
    }

private:
    friend struct test_peer<tick_deadline>;
    time::rep after(time now) const noexcept {
        return interval_ == time::zero() || now > never - interval_ ? never.count() : (now + interval_).count();
    }

    const time interval_;
    std::atomic<time::rep> due_;  // written by claim(), read by all
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

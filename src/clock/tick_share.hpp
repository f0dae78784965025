// How much of what a tick has left to do shall be through by now, so that all of it is through before the next tick is
// due, however seldom somebody comes by: a policy that is handed the time and reads no clock. Any thread.
//
// What waits may at most be what remains of the largest amount that has waited since the tick, in proportion to the
// time: all of it at the tick, nothing after a quarter of the interval. So what is unused for two ticks is gone two and
// a half intervals after its last use, wherever in an interval that was, though threads come by only now and then.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class tick_share {
public:
    using time = std::chrono::nanoseconds;  // since any fixed moment

    // An interval of zero: nothing is ever owed.
    explicit tick_share(time interval) noexcept : span_(interval / 4) {}

    void begin(time now) noexcept {
        begun_.store(now.count(),
                     std::memory_order_relaxed);  // relaxed, as all here: a share may be early or late by a look
        most_.store(0, std::memory_order_relaxed);
    }

    // How much of `waiting` is to go now.
    std::uint64_t owed(std::uint64_t waiting, time now) noexcept {
        if (span_ <= time::zero()) return 0;
        const std::uint64_t most = std::max(most_.load(std::memory_order_relaxed), waiting);
        most_.store(most, std::memory_order_relaxed);
        const time elapsed = now - time(begun_.load(std::memory_order_relaxed));
        const double left = 1 - std::clamp(std::chrono::duration<double>(elapsed) / span_, 0.0, 1.0);
        const auto may_wait = static_cast<std::uint64_t>(static_cast<double>(most) * left);
        return waiting - std::min(waiting, may_wait);
    }

private:
    const time span_;
    std::atomic<time::rep> begun_{0};
    std::atomic<std::uint64_t> most_{0};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

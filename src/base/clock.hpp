// The one place that reads a clock. Any thread, signal handlers too.
#pragma once

#include <time.h>

#include <chrono>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// The coarse monotonic clock: read from memory the kernel shares, steps of one to four milliseconds.
inline std::chrono::nanoseconds coarse_now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

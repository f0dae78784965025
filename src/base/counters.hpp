// Numbers for stats().
#pragma once

#include <atomic>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// A counter with one writer. Relaxed: a reader may be late by what is in flight.
class counter {
public:
    void add(std::uint64_t n) noexcept { value_.store(get() + n, std::memory_order_relaxed); }
    void subtract(std::uint64_t n) noexcept { value_.store(get() - n, std::memory_order_relaxed); }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// The largest value that was noted. Any thread. Relaxed: a peak.
class peak {
public:
    void note(std::uint64_t now) noexcept {
        std::uint64_t most = get();
        while (most < now && !value_.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
        }
    }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

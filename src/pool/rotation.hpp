// The pool's ticks so far, and the locals that are behind them. Any thread.
//
// A tick passes over an owner that is inside and does not run. Such an owner may go on with nothing but hits and never
// rotate by itself, and its stock would outlive the second tick until the third: so it is visited again before that.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "clock/tick_deadline.hpp"
#include "pool/roster.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class rotation {
public:
    rotation(roster& everyone, std::chrono::nanoseconds decay_interval, std::chrono::nanoseconds now) noexcept
        : roster_(everyone), again_(decay_interval / visits_a_tick, now) {}

    // Ticks so far. Relaxed: one that is just under way is seen next time.
    std::uint64_t ticks() const noexcept { return ticks_.load(std::memory_order_relaxed); }

    // A tick: rotates every local. Returns the bytes in chains after it.
    std::uint64_t tick() noexcept;
    // Visits those again whom the tick has passed over, where it is time for that. True where there were any.
    bool again_if_due(std::chrono::nanoseconds now) noexcept;
    // The same, until there are none: for 0.2 s at most, which is longer than a loaded machine keeps a thread from
    // running. Keeps nobody out in between.
    void again_until_done() noexcept;

    // When again_if_due() has something to do.
    std::chrono::nanoseconds due() const noexcept { return left() ? again_.due() : tick_deadline::never; }

    void check() const noexcept { again_.check(); }

private:
    static constexpr int visits_a_tick = 16;

    // Relaxed: a hint; whoever misses it comes again.
    bool left() const noexcept { return left_.load(std::memory_order_relaxed); }
    void rotate_behind(std::uint64_t tick, roster::patience how_long) noexcept TIDEPOOL_REQUIRES(roster_.visiting);
    void again(roster::patience how_long) noexcept;

    roster& roster_;
    tick_deadline again_;
    std::atomic<std::uint64_t> ticks_{0};  // written under `visiting`, as the next
    std::atomic<bool> left_{false};        // whether the last tick has passed over anybody
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// What a pool does beside serving requests: it hands down what ticks and trims took out of the locals, and what the
// source has idle for too long, in slices, and has the upstream purge once that is through. Any thread, unpinned and
// without a lock.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/sleeping_lock.hpp"
#include "cache/depot.hpp"
#include "cache/outgoing.hpp"
#include "clock/tick_share.hpp"
#include "pool/supply.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class upkeep {
public:
    // `visiting`: held while magazines that nobody needs leave.
    upkeep(depots& shared, supply& below, sleeping_lock& visiting, std::chrono::nanoseconds decay_interval) noexcept
        : shared_(shared),
          supply_(below),
          visiting_(visiting),
          blocks_share_(decay_interval),
          spans_share_(decay_interval) {}

    // A thread's share, after each exchange of magazines: a slice of what a tick has left, and now and then, or where
    // it wants to, a look at the clock; each time while several pools are due, because one look ticks one of them.
    void after_exchange(std::uint32_t exchanges, bool look = false) noexcept;

    // A tick has left something to do; something more was found for it.
    void begin_tick(std::chrono::nanoseconds now) noexcept;
    void resume_tick() noexcept { shared_.leaving.begin_tick(); }
    bool unfinished() const noexcept { return shared_.leaving.unfinished(); }

    // A bounded part of what waits.
    void hand_down_slice() noexcept;
    // By a look at the clock: as much as must be through by now, or a slice.
    void hand_down_share(std::chrono::nanoseconds now) noexcept;
    // All of it, but for what other threads have in hand. Returns the bytes of the magazines.
    std::size_t hand_down_all() noexcept;
    // Waits until what other threads had in hand is through. Gives up after a bounded time: what they call may wait for
    // a lock that the caller holds. Does not wait inside an upstream's call, which it might be waiting for.
    void wait_for_others() noexcept;
    // When all that a tick has left is through, the upstream is asked for its own purge, once for each tick: what
    // decays shall really leave the process.
    void finish_if_done() noexcept;
    // The tick's purge is dropped: memory that is wanted at once need not leave the process.
    void drop_tick() noexcept { end_tick(); }
    // For the program, which wants to see the memory gone.
    void purge() noexcept;

    // In a forked child: what other threads had in hand is lost.
    void forget_others() noexcept;

private:
    class in_hand;
    // Whether something is left to hand down.
    bool waiting() const noexcept { return shared_.leaving.blocks() != 0 || supply_.blocks.expired() != 0; }
    // False where another thread's tick has left something meanwhile: then it goes on.
    bool end_tick() noexcept;
    std::size_t hand_down(std::size_t blocks_max, std::size_t spans_max) noexcept;

    depots& shared_;
    supply& supply_;
    sleeping_lock& visiting_;
    tick_share blocks_share_, spans_share_;

    // Calls of hand_down() under way, in two groups; new ones join the one that `joined_` says. Seen at zero, a group
    // has nobody left who was in it before.
    std::array<std::atomic<std::uint32_t>, 2> under_way_{};
    std::atomic<std::uint32_t> joined_{0};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

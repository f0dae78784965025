// A lock for sections of a few hundred instructions that call nobody. Any thread; not recursive; not for signal
// handlers, which could interrupt its holder.
//
// One word, and one more for its rank in builds that check. A waiter spins for some microseconds and then sleeps: on a
// loaded machine the holder is most likely not running, and one of lower priority than the waiter does not run before
// that. Free of waiters, it takes one locked instruction to lock and one to unlock.
//
// Source of the three states: U. Drepper, "Futexes are tricky" (2011), mutex2.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/assert.hpp"
#include "base/lock_order.hpp"
#include "base/thread_safety.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class TIDEPOOL_CAPABILITY("mutex") spin_lock : lock_order::ranked {
public:
    constexpr explicit spin_lock(lock_rank rank) noexcept : ranked(rank) {}
    spin_lock(const spin_lock&) = delete;
    spin_lock& operator=(const spin_lock&) = delete;

    // Whoever does not wait may come in any order.
    bool try_lock() noexcept TIDEPOOL_TRY_ACQUIRE(true) {
        if (!take()) return false;
        after_lock();
        return true;
    }

    void lock() noexcept TIDEPOOL_ACQUIRE() {
        before_lock();
        if (!take()) [[unlikely]]
            wait();
        after_lock();
    }

    void unlock() noexcept TIDEPOOL_RELEASE() {
        before_unlock();
        open();
    }

    // Around a fork, by the forking thread: it is released in another function, and in two processes, so for the
    // analysis it is merely known to be held.
    void lock_for_fork() noexcept TIDEPOOL_ASSERT_CAPABILITY() {
        before_lock_for_fork();
        if (!take()) wait();
    }
    void unlock_after_fork() noexcept { open(); }

    // Needs: it is held. Where the analysis cannot know.
    void assert_held() const noexcept TIDEPOOL_ASSERT_CAPABILITY() {
        TIDEPOOL_ASSERT(state_.load(std::memory_order_relaxed) != free, "called without the lock");
    }

private:
    enum state : std::uint32_t { free, held, wanted };  // wanted: held, and somebody may sleep

    bool take() noexcept {
        std::uint32_t expected = free;
        return state_.compare_exchange_strong(expected, held, std::memory_order_acquire,  // partner: open()
                                              std::memory_order_relaxed);
    }
    void open() noexcept {
        if (state_.exchange(free, std::memory_order_release) == wanted) [[unlikely]]  // partners: take(), wait()
            wake();
    }
    void wait() noexcept;
    void wake() noexcept;

    std::atomic<std::uint32_t> state_{free};
};
static_assert(checked || sizeof(spin_lock) == 4);

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

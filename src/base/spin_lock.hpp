// A lock for sections of a few hundred instructions that call nobody. Any thread; not recursive; not for signal
// handlers, which could interrupt its holder.
//
// One byte, and one more for its rank in builds that check. Waits politely: some pauses, then the processor is offered
// to others, because on a loaded machine the holder is most likely not running.
#pragma once

#include <sched.h>

#include <atomic>

#include "base/assert.hpp"
#include "base/lock_order.hpp"
#include "base/thread_safety.hpp"
#include "base/uncancelled.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// One step of waiting; `round` counts the steps. Any thread.
inline void wait_politely(unsigned round) noexcept {
    if (round < 64)
        pause();
    else
        ::sched_yield();
}

// The same for waits that may be long: short sleeps from some point on.
inline void wait_long(unsigned round) noexcept {
    if (round < 128) return wait_politely(round);
    uncancelled::sleep({0, 50'000});
}

class TIDEPOOL_CAPABILITY("mutex") spin_lock : lock_order::ranked {
public:
    constexpr explicit spin_lock(lock_rank rank) noexcept : ranked(rank) {}
    spin_lock(const spin_lock&) = delete;
    spin_lock& operator=(const spin_lock&) = delete;

    // Whoever does not wait may come in any order.
    bool try_lock() noexcept TIDEPOOL_TRY_ACQUIRE(true) {
        if (!exchange()) return false;
        after_lock();
        return true;
    }

    void lock() noexcept TIDEPOOL_ACQUIRE() {
        before_lock();
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
        wait();
    }
    void unlock_after_fork() noexcept { open(); }

    // Needs: it is held. Where the analysis cannot know.
    void assert_held() const noexcept TIDEPOOL_ASSERT_CAPABILITY() {
        TIDEPOOL_ASSERT(held_.load(std::memory_order_relaxed), "called without the lock");
    }

private:
    bool exchange() noexcept { return !held_.exchange(true, std::memory_order_acquire); }  // partner: open()
    void wait() noexcept {
        for (unsigned round = 0; !exchange(); ++round)
            while (held_.load(std::memory_order_relaxed)) wait_politely(round++);  // relaxed: exchange() decides
    }
    void open() noexcept { held_.store(false, std::memory_order_release); }  // partner: exchange()

    std::atomic<bool> held_{false};
};
static_assert(checked || sizeof(spin_lock) == 1);

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

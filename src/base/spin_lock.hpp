// A lock for sections of a few hundred instructions that call nobody. Any thread; not recursive; not for signal
// handlers, which could interrupt its holder.
//
// One byte, usable in memory that is merely zero. Waits politely: some pauses, then the processor is offered to others,
// because on a loaded machine the holder is most likely not running.
#pragma once

#include <sched.h>
#include <time.h>

#include <atomic>

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
    const timespec moment{0, 50'000};
    ::nanosleep(&moment, nullptr);
}

class spin_lock {
public:
    bool try_lock() noexcept { return !held_.exchange(true, std::memory_order_acquire); }  // partner: unlock()

    void lock() noexcept {
        for (unsigned round = 0; !try_lock(); ++round)
            while (held_.load(std::memory_order_relaxed)) wait_politely(round++);  // relaxed: try_lock() decides
    }

    void unlock() noexcept { held_.store(false, std::memory_order_release); }  // partner: try_lock()

private:
    std::atomic<bool> held_{false};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

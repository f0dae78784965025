// How a thread waits for another one: it spins for a moment, and then sleeps. A thread that only yielded would keep the
// processor from whom it waits for where its priority is higher, as that of real-time threads is. Any thread.
#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

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

// The rounds of wait_long() before it sleeps.
inline constexpr unsigned pauses = 64, waits_awake = 128;

// One step of a wait for what no futex tells of; `round` counts the steps. From waits_awake on a step is a nap of 0.05
// ms.
inline void wait_long(unsigned round) noexcept {
    if (round < pauses)
        pause();
    else if (round < waits_awake)
        ::sched_yield();
    else
        uncancelled::sleep({0, 50'000});
}

// Sleeping at a word of memory, by the kernel's futex. No cancellation point, and errno is left as it was.
namespace futex {

static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && std::atomic<std::uint32_t>::is_always_lock_free);

// Sleeps until somebody calls wake(), if the word still has the value. May return early.
inline void sleep(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
    const int before = errno;
    ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr);
    errno = before;
}
// Wakes one sleeper. The word may be gone by now.
inline void wake(std::atomic<std::uint32_t>& word) noexcept {
    const int before = errno;
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
    errno = before;
}

}  // namespace futex

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

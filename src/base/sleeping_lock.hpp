// A lock whose waiters sleep, for what takes longer than a spin lock should be held. Any thread; not recursive; not for
// signal handlers, which could interrupt its holder.
//
// Not std::mutex, which asks for the C++ runtime library where it reports errors: the malloc shim has to live without.
#pragma once

#include <pthread.h>

#include "base/assert.hpp"
#include "base/lock_order.hpp"
#include "base/thread_safety.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class TIDEPOOL_CAPABILITY("mutex") sleeping_lock : lock_order::ranked {
public:
    constexpr explicit sleeping_lock(lock_rank rank) noexcept : ranked(rank) {}
    sleeping_lock(const sleeping_lock&) = delete;
    sleeping_lock& operator=(const sleeping_lock&) = delete;

    void lock() noexcept TIDEPOOL_ACQUIRE() {
        before_lock();
        ::pthread_mutex_lock(&mutex_);
        after_lock();
    }
    void unlock() noexcept TIDEPOOL_RELEASE() {
        before_unlock();
        ::pthread_mutex_unlock(&mutex_);
    }

    // Around a fork, as spin_lock's.
    void lock_for_fork() noexcept TIDEPOOL_ASSERT_CAPABILITY() {
        before_lock_for_fork();
        ::pthread_mutex_lock(&mutex_);
    }
    void unlock_after_fork() noexcept { ::pthread_mutex_unlock(&mutex_); }

    // Needs: it is held. Where the analysis cannot know.
    void assert_held() noexcept TIDEPOOL_ASSERT_CAPABILITY() {
        TIDEPOOL_ASSERT(::pthread_mutex_trylock(&mutex_) != 0, "called without the lock");
    }

private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

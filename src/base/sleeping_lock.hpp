// A lock whose waiters sleep, for what takes longer than a spin lock should be held. Any thread; not recursive; not for
// signal handlers, which could interrupt its holder.
//
// Not std::mutex, which asks for the C++ runtime library where it reports errors: the malloc shim has to live without.
#pragma once

#include <pthread.h>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class sleeping_lock {
public:
    constexpr sleeping_lock() noexcept = default;
    sleeping_lock(const sleeping_lock&) = delete;
    sleeping_lock& operator=(const sleeping_lock&) = delete;

    void lock() noexcept { ::pthread_mutex_lock(&mutex_); }
    void unlock() noexcept { ::pthread_mutex_unlock(&mutex_); }

private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

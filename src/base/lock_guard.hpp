// Holds a lock while it lives: std::lock_guard, which clang's analysis cannot see through.
#pragma once

#include "base/thread_safety.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <class Lock>
class TIDEPOOL_SCOPED_CAPABILITY lock_guard {
public:
    explicit lock_guard(Lock& lock) noexcept TIDEPOOL_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
    ~lock_guard() TIDEPOOL_RELEASE() { lock_.unlock(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;

private:
    Lock& lock_;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

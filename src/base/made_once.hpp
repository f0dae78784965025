// What a process makes at its first use and keeps to its end. Any thread.
//
// Not a guarded function-local static: a child that was forked while another thread made one waits for that thread for
// ever. pthread_once begins anew there, so `make` may have run halfway before: it must be harmless to repeat.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <new>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// What make(), a lambda without captures, returned when it was called first. One for each lambda; never destroyed.
template <auto make>
const auto& made_once() noexcept {
    using made = decltype(make());
    static constinit pthread_once_t once = PTHREAD_ONCE_INIT;
    alignas(made) static constinit std::byte place[sizeof(made)]{};
    ::pthread_once(&once, [] { ::new (place) made(make()); });
    return *std::launder(reinterpret_cast<const made*>(place));
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

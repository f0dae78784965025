// Has jemalloc call our heartbeat for the threads that allocate through the adapter.
#pragma once

#include "heartbeat_hook.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace jemalloc {

// Which hook this jemalloc has. A hook for all threads is set by the first call.
heartbeat_hook current_heartbeat_hook() noexcept;

// Whether the calling thread's hook was set, or there is none to set.
extern constinit thread_local bool listening;
void begin_to_listen() noexcept;

// Sets the calling thread's hook, if it has none yet.
inline void listen() noexcept {
    if (!listening) [[unlikely]]
        begin_to_listen();
}

}  // namespace jemalloc
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

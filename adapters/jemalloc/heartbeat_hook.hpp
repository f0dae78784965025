// Which heartbeat this jemalloc has. It has had two, neither of them for good:
//   experimental.thread.activity_callback   5.3.0: a function for each thread, called after 64 KiB allocated or freed
//   experimental.hooks.thread_event         later: one function for all threads, called after an interval of our choice
// So both are looked for by name, and pools over a jemalloc without either age by their own slow path and tickers.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace jemalloc {

enum class heartbeat_hook { activity_callback, thread_event, none };

inline constexpr const char* activity_callback_name = "experimental.thread.activity_callback";
inline constexpr const char* thread_event_name = "experimental.hooks.thread_event";

// What the two are set to; jemalloc's own layouts.
struct activity_callback {
    void (*function)(void* context, std::uint64_t allocated, std::uint64_t deallocated);
    void* context;
};
struct thread_event {
    void (*function)(bool is_allocation, std::uint64_t allocated, std::uint64_t deallocated);
    std::uint64_t interval;  // bytes
    bool allocations_only;
};

// `knows` as mallctlnametomib: 0 where there is such a name.
template <class Knows>
heartbeat_hook find_heartbeat_hook(Knows knows) noexcept {
    std::size_t mib[4], length = 4;
    if (knows(activity_callback_name, mib, &length) == 0) return heartbeat_hook::activity_callback;
    length = 4;
    if (knows(thread_event_name, mib, &length) == 0) return heartbeat_hook::thread_event;
    return heartbeat_hook::none;
}

// For tests: upstreams behave from now on as over a jemalloc without either.
void pretend_without_heartbeat_hook(bool without) noexcept;

}  // namespace jemalloc
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

#include "heartbeat.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/made_once.hpp"
#include "clock/heartbeat.hpp"
#include "mallctl.hpp"
#include "names.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace jemalloc {

constinit thread_local bool listening = false;

namespace {

constexpr std::uint64_t thread_event_interval = std::uint64_t{64} << 10;  // bytes

std::atomic<bool> hookless{false};  // relaxed: for tests

// The calling thread's hook before ours.
thread_local activity_callback before{};

// Called by jemalloc after an allocation or in a deallocation, while it holds no lock of its own. jemalloc calls it
// again from within itself if it allocates; heartbeat() prevents a recursion.
void on_activity(void*, std::uint64_t allocated, std::uint64_t deallocated) {
    if (!hookless.load(std::memory_order_relaxed)) heartbeat();
    if (before.function) before.function(before.context, allocated, deallocated);
}

void on_thread_event(bool, std::uint64_t, std::uint64_t) {
    if (!hookless.load(std::memory_order_relaxed)) heartbeat();
}

}  // namespace

heartbeat_hook current_heartbeat_hook() noexcept {
    const heartbeat_hook found = made_once<[] {
        const heartbeat_hook kind = find_heartbeat_hook(tidepool_je_mallctlnametomib);
        if (kind != heartbeat_hook::thread_event) return kind;
        thread_event hook{on_thread_event, thread_event_interval, true};
        const bool set = tidepool_je_mallctl(thread_event_name, nullptr, nullptr, &hook, sizeof hook) == 0;
        return set ? kind : heartbeat_hook::none;
    }>();
    return hookless.load(std::memory_order_relaxed) ? heartbeat_hook::none : found;
}

void begin_to_listen() noexcept {
    listening = true;
    if (current_heartbeat_hook() != heartbeat_hook::activity_callback) return;
    activity_callback ours{on_activity, nullptr};
    std::size_t bytes = sizeof before;
    mallctl_path(activity_callback_name).call(&before, &bytes, &ours, sizeof ours);
    if (before.function == on_activity) before = {};
}

void pretend_without_heartbeat_hook(bool without) noexcept { hookless.store(without, std::memory_order_relaxed); }

}  // namespace jemalloc
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

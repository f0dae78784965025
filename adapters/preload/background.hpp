// A thread that ticks, so that idle processes return memory. Off by default.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace background {

// Starts the thread, which calls each_time() twice per `interval_ms`. To be called once a process; without effect if
// there can be no further thread.
void start(long interval_ms, void (*each_time)() noexcept) noexcept;

// Starts it again if it ran before the fork.
void after_fork_in_child() noexcept;

}  // namespace background
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

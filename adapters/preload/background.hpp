// A thread that ticks, for processes that are idle and should give memory back nevertheless. Off unless asked for.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace background {

// Starts the thread. Once a process; without effect where no thread can be had.
void start() noexcept;

// Starts it again, where it ran before the fork.
void after_fork_in_child() noexcept;

}  // namespace background
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The calling thread's number, as the system has it: for messages that name a thread.
#pragma once

#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// A system call at a thread's first use. So a process asks before a sandbox may forbid it: when the hardened shim is
// loaded, and in a forked child.
std::uint32_t thread_id() noexcept;
// In a forked child, by its thread, which has another number.
void renew_thread_id() noexcept;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

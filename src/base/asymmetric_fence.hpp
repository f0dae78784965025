// The visitor's half of pinning: how one thread makes sure that another is out of its local, without the other paying
// for a fence.
//
// The owner stores its pin slot and then loads what its local shows (pin_slot::enter, local_head::magazines). The
// visitor stores what the local shows, calls heavy() and then loads the pin slot (local_head::stop,
// pin_slot::occupied). membarrier makes every running thread of the process execute a full barrier: it stands, in each
// owner, either before the store of the pin slot, and then the load behind it sees the visitor's store, or after it,
// and then the visitor's load sees the owner inside. So never do both go on.
//
// Where the kernel lacks membarrier, or a sandbox refuses it from some moment on, nobody may look inside the local of
// another thread that runs: owners rotate themselves on their slow path (roster.hpp). A sandbox may also end a process
// that asks, so nobody asks before there is a second thread to keep out.
//
// Source: membarrier(2), PRIVATE_EXPEDITED; the asymmetric fences of userspace-rcu. Any thread.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace asymmetric_fence {

// Whether heavy() works here, as far as can be known. Registers the process with the kernel on first use.
bool available() noexcept;

// False if the system refuses it, and from then on always. A few hundred nanoseconds, more with many running threads.
bool heavy() noexcept;

// Whether it is known to be refused. Asks nobody.
bool refused() noexcept;

// The child is a process of its own to the kernel, and is registered when it needs to be.
void after_fork_in_child() noexcept;

// For tests: pools made while this is on behave as on a kernel without membarrier.
void pretend_missing(bool missing) noexcept;

}  // namespace asymmetric_fence
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// An upstream's heartbeat: the moment at which an allocator lets us look at the clock, so that a pool that nobody
// touches ages because its process allocates elsewhere. As Go's pools do, whose cycle is driven by all allocation.
//
// A heartbeat comes in the midst of anybody's allocation: the thread may hold any lock of the program's. So it ticks
// only pools that are heartbeat_safe(), whose way to the upstream runs nobody's code. And where it comes out of a
// pool's own call to its upstream it does no work at all: it leaves a mark, and the pool looks at the clock when it is
// out of the call. One that comes out of a tick finds the tick under way (registry::tick_due) and goes. So nothing
// recurses, and there is nothing to wait for.
//
// Who calls it: adapters, from their allocator's hook; metered_upstream and the pool for the mark. Any thread, for
// itself; not from a signal handler.
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "clock/registry.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// While one lives, the calling thread is in an upstream on behalf of a pool. The mark lies in the thread's slot; a
// thread without one (before its first use of a pool, after its end) is not marked, and its heartbeats work inside the
// call, which is as sound: no lock and no pin is held there.
class upstream_call {
public:
    upstream_call() noexcept : slot_(*this_thread) {
        if (slot_.usable) ++slot_.upstream_calls;
    }
    ~upstream_call() {
        if (slot_.usable) --slot_.upstream_calls;
    }
    upstream_call(const upstream_call&) = delete;
    upstream_call& operator=(const upstream_call&) = delete;

private:
    thread_slot& slot_;  // kept: the thread may get its slot during the call
};

// Whether a heartbeat came during an upstream call of this thread since the last look.
inline bool heard_heartbeat() noexcept {
    thread_slot& me = *this_thread;
    if (!me.heard) [[likely]]
        return false;
    me.heard = false;
    return true;
}

// One coarse clock read, a comparison, and at most one try-lock, where no tick is due.
inline void heartbeat() noexcept {
    thread_slot& me = *this_thread;
    if (me.upstream_calls != 0)
        me.heard = true;
    else
        registry::tick_due(coarse_now(), registry::which::heartbeat_safe);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

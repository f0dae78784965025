// Process-wide decay.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool::inline TIDEPOOL_ABI {

// Ages every pool of the process by one tick: what was idle through the tick before goes back to its upstream. Any
// thread; waits for a tick under way. Time in proportion to the threads' parts and to what goes back.
void tick() noexcept;

}  // namespace tidepool::inline TIDEPOOL_ABI

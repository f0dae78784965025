// Whether ticks, trims and counts reach the magazines of other threads that run: not without membarrier, and all suites
// run that way, too.
#pragma once

#include "base/asymmetric_fence.hpp"

namespace support {

inline bool others_in_reach() noexcept { return tidepool::detail::asymmetric_fence::available(); }

}  // namespace support

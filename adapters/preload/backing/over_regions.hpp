// The regions of the process, for the flavours whose large blocks lie in them.
#pragma once

#include "large_runs.hpp"
#include "other_malloc.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

extern constinit shared_regions its;

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

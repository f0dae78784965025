#include <tidepool/tick.hpp>

#include "registry.hpp"

namespace tidepool::inline TIDEPOOL_ABI {

void tick() noexcept { detail::registry::tick_all(); }

}  // namespace tidepool::inline TIDEPOOL_ABI

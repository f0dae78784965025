// What the shim does around a fork: the child's pool is whole, and nobody waits for the fork who holds a lock that the
// fork may want (base/slow_section.hpp).
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace forks {

// Once a process.
void begin_to_listen() noexcept;

}  // namespace forks
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

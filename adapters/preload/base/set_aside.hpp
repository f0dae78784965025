// Blocks that were freed where they could not be deallocated: by a thread inside a slow section. The next slow section
// of any thread deallocates them. Lock-free, for signal handlers.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

// The link is written into the block.
struct aside_block {
    aside_block* next;
};

// `block` has at least 8 bytes, and may be the pool's or not.
void set_aside(void* block) noexcept;

// All that have been set aside, or null. The caller has them alone.
aside_block* take_aside() noexcept;

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

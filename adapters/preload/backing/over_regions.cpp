// What the regions of a process serve to both flavours over them (regions.cpp, pages.cpp): all of the other malloc but
// where a block comes from and goes to.
#include "over_regions.hpp"

#include "base/pages.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

constinit shared_regions its;

void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept {
    its.start(decay_interval, idle_bytes_max);
}

bool holds(const void* p) noexcept { return its.large() && its.large()->holds(p); }
void* allocate(std::size_t bytes) noexcept { return allocate_aligned(bytes, 1); }
std::size_t usable_size(void*, std::size_t had) noexcept { return detail::whole_pages(had); }

std::size_t idle_bytes() noexcept { return its.large() ? its.large()->idle_bytes() : 0; }

bool purge() noexcept { return its.release_idle(); }

upstream spans() noexcept { return its; }

void before_fork() noexcept { its.before_fork(); }
void after_fork(bool) noexcept { its.after_fork(); }

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

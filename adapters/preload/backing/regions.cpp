// The other malloc: regions, for large blocks up to 4 MiB. Those above are libc's.
#include "large_runs.hpp"
#include "other_malloc.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

namespace {

constinit shared_regions its;

}  // namespace

void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept {
    its.start(decay_interval, idle_bytes_max);
}

bool serves(const request& wanted) noexcept {
    return its.large() && large_runs::serves(wanted.bytes, wanted.alignment);
}

bool holds(const void* p) noexcept { return its.large() && its.large()->holds(p); }

void* allocate(std::size_t bytes) noexcept { return allocate_aligned(bytes, 1); }
void* allocate_zeroed(std::size_t bytes) noexcept { return its.large()->take_zeroed(bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return its.large()->take(bytes, alignment);
}

void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
    return its.large()->reallocate(p, had, bytes);
}

void deallocate(void* p, std::size_t had) noexcept { its.large()->give(p, had); }
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

// The other malloc: regions, for large blocks up to 4 MiB. Those above are libc's.
#include <algorithm>
#include <cstring>

#include "large_spans.hpp"
#include "other_malloc.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

namespace {

constinit shared_spans its;

}  // namespace

void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept {
    its.start(decay_interval, idle_bytes_max);
}

// libc knows which of its memory is zeroed; clearing all of a large block would make it resident.
bool serves(const request& wanted) noexcept {
    constexpr std::size_t cleared_bytes_max = std::size_t{128} << 10;
    return its.large() && large_spans::serves(wanted.bytes, wanted.alignment) &&
           (!wanted.zeroed || wanted.bytes <= cleared_bytes_max);
}

void* allocate(std::size_t bytes) noexcept { return its.large()->take(bytes); }
void* allocate_zeroed(std::size_t bytes) noexcept {
    void* p = allocate(bytes);
    return p ? std::memset(p, 0, bytes) : nullptr;
}
void* allocate_aligned(std::size_t bytes, std::size_t) noexcept { return allocate(bytes); }

void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
    return its.large()->reallocate(p, had, bytes);
}

void deallocate(void* p, std::size_t had) noexcept { its.large()->give(p, had); }
std::size_t usable_size(void*, std::size_t had) noexcept { return large_spans::usable(had); }

std::size_t idle_bytes() noexcept { return its.large() ? its.large()->idle_bytes() : 0; }

void purge() noexcept {
    if (its.large()) its.large()->shrink();
    its.purge();
}

upstream spans() noexcept { return its; }

void before_fork() noexcept { its.before_fork(); }
void after_fork() noexcept { its.after_fork(); }

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

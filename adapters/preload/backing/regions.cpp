// The other malloc: regions, for large blocks up to 4 MiB. Those above are libc's.
#include "over_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

bool serves(const request& wanted) noexcept {
    return its.large() && large_runs::serves(wanted.bytes, wanted.alignment);
}

void* allocate_zeroed(std::size_t bytes) noexcept { return its.large()->take_zeroed(bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return its.large()->take(bytes, alignment);
}

void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
    return its.large()->reallocate(p, had, bytes);
}

void deallocate(void* p, std::size_t had) noexcept { its.large()->give(p, had); }

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

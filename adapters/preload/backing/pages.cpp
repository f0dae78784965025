// The other malloc: the operating system. Large blocks up to 4 MiB come from regions; one that does not is a mapping of
// its own, which deallocate() unmaps.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/pages.hpp"
#include "over_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

bool serves(const request&) noexcept { return true; }

void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    if (its.large() && large_runs::serves(bytes, alignment))
        if (void* p = its.large()->take(bytes, alignment)) return p;
    return detail::map_pages(bytes, alignment);
}
void* allocate_zeroed(std::size_t bytes) noexcept {
    if (its.large() && large_runs::serves(bytes, 1))
        if (void* p = its.large()->take_zeroed(bytes)) return p;
    return detail::map_pages(bytes, 1);
}

void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
    if (!holds(p)) {
        void* moved = ::mremap(p, detail::whole_pages(had), detail::whole_pages(bytes), MREMAP_MAYMOVE);
        return moved == MAP_FAILED ? nullptr : moved;
    }
    if (bytes <= large_runs::bytes_max)
        if (void* moved = its.large()->reallocate(p, had, bytes)) return moved;
    void* moved = detail::map_pages(bytes, 1);
    if (!moved) return nullptr;
    std::memcpy(moved, p, std::min(had, bytes));
    its.large()->give(p, had);
    return moved;
}

void deallocate(void* p, std::size_t had) noexcept {
    if (!its.large() || !its.large()->give(p, had)) detail::unmap_pages(p, had);
}

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The other malloc: the operating system. A large block is a mapping of its own, which deallocate() unmaps.
#include <sys/mman.h>

#include "base/pages.hpp"
#include "mapped_regions.hpp"
#include "other_malloc.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

namespace {

constinit mapped_regions span_memory;

}  // namespace

void* allocate(std::size_t bytes) noexcept { return detail::map_pages(bytes, 1); }
void* allocate_zeroed(std::size_t bytes) noexcept { return allocate(bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return detail::map_pages(bytes, alignment);
}

void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
    void* moved = ::mremap(p, detail::whole_pages(had), detail::whole_pages(bytes), MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? nullptr : moved;
}

void deallocate(void* p, std::size_t had) noexcept { detail::unmap_pages(p, had); }
std::size_t usable_size(void*, std::size_t had) noexcept { return detail::whole_pages(had); }

void purge() noexcept {}

upstream spans() noexcept { return span_memory; }

void before_fork() noexcept { span_memory.before_fork(); }
void after_fork() noexcept { span_memory.after_fork(); }

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The other malloc: the operating system. A large block is a mapping of its own, which deallocate() unmaps.
#include <sys/mman.h>

#include "adapters/base/mapped_pages.hpp"
#include "base/immortal.hpp"
#include "base/pages.hpp"
#include "other_malloc.hpp"
#include "source/span_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

namespace {

constinit detail::immortal<detail::span_regions<detail::mapped_pages>> its_spans;

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

void purge() noexcept { its_spans.it.purge(); }

upstream spans() noexcept { return its_spans.it; }

void before_fork() noexcept { its_spans.it.before_fork(); }
void after_fork(bool) noexcept { its_spans.it.after_fork(); }

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

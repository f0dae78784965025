// The malloc family, as the C standard, POSIX and the GNU manual define each function, and as glibc has it where they
// are silent.
#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "adapters/preload/base/exported.hpp"
#include "base/pages.hpp"
#include "large.hpp"
#include "shim.hpp"
#include "watched.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

using namespace detail;

namespace {

void* fail(int with) noexcept {
    errno = with;
    return nullptr;
}

// A block stays where it is if at least half of it is used, or there is no smaller one.
void* reallocate(void* p, std::size_t size_class, std::size_t bytes) noexcept {
    const std::size_t room = class_bytes(size_class), has = watched::size_of(p, size_class, "realloc");
    if (bytes == 0) {
        deallocate(p);
        return nullptr;
    }
    const bool fits = watched::with_room(bytes) <= room;
    if (fits && (bytes >= room / 2 || size_class == 0)) return watched::resized(p, bytes);
    const int before = errno;
    void* other = allocate(bytes);
    if (!other) {
        if (!fits) return nullptr;
        errno = before;
        return watched::resized(p, bytes);
    }
    std::memcpy(other, p, std::min(bytes, has));
    deallocate(p);
    return other;
}

// One of the backing's that becomes small moves to the pool. What is idle goes before a request fails.
void* reallocate_large(void* p, std::size_t bytes) noexcept {
    if (bytes > bytes_max) return fail(ENOMEM);
    const int before = errno;
    if (bytes > 0 && bytes <= pooled_bytes_max)
        if (const std::size_t has = large::usable_size(p)) {  // 0 in a slow section
            void* other = allocate(bytes);
            if (!other && bytes > has) return nullptr;
            errno = before;
            if (!other) return p;
            std::memcpy(other, p, std::min(bytes, has));
            large::free(p);
            return other;
        }
    void* moved = large::realloc(p, bytes);
    if (moved || bytes == 0 || !trim(0)) return moved;
    if ((moved = large::realloc(p, bytes))) errno = before;
    return moved;
}

}  // namespace

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using namespace tidepool::preload;

extern "C" {

EXPORTED void* malloc(std::size_t bytes) noexcept { return allocate(bytes); }

EXPORTED void free(void* p) noexcept { deallocate(p); }

EXPORTED void* calloc(std::size_t count, std::size_t bytes) noexcept {
    std::size_t all;
    if (__builtin_mul_overflow(count, bytes, &all)) return fail(ENOMEM);
    if (all > tidepool::detail::pooled_bytes_max) return allocate_large_zeroed(all);
    void* p = allocate(all);
    return p ? std::memset(p, 0, all) : nullptr;
}

EXPORTED void* realloc(void* p, std::size_t bytes) noexcept {
    if (!p) return allocate(bytes);
    const std::size_t after = class_after(p, "realloc");
    if (after) return reallocate(p, after - 1, bytes);
    return reallocate_large(p, bytes);
}

EXPORTED void* reallocarray(void* p, std::size_t count, std::size_t bytes) noexcept {
    std::size_t all;
    return __builtin_mul_overflow(count, bytes, &all) ? fail(ENOMEM) : realloc(p, all);
}

// The alignment is rounded up to a power of two, as in glibc.
EXPORTED void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
    if (alignment > SIZE_MAX / 2 + 1) return fail(EINVAL);
    return allocate_aligned(std::bit_ceil(alignment), bytes);
}

EXPORTED void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
    return std::has_single_bit(alignment) ? allocate_aligned(alignment, bytes) : fail(EINVAL);
}

EXPORTED int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) noexcept {
    if (!std::has_single_bit(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
    void* p = allocate_aligned(alignment, bytes);
    if (!p) return ENOMEM;  // as in errno
    *out = p;
    return 0;
}

EXPORTED void* valloc(std::size_t bytes) noexcept { return allocate_aligned(tidepool::detail::page_bytes(), bytes); }

EXPORTED void* pvalloc(std::size_t bytes) noexcept {
    const std::size_t page = tidepool::detail::page_bytes();
    return bytes > bytes_max - page ? fail(ENOMEM) : allocate_aligned(page, tidepool::detail::whole_pages(bytes));
}

EXPORTED void cfree(void* p) noexcept { deallocate(p); }

// C23. As sized delete (new.cpp).
EXPORTED void free_sized(void* p, std::size_t bytes) noexcept {
    check_size(p, bytes);
    deallocate(p);
}
EXPORTED void free_aligned_sized(void* p, std::size_t, std::size_t bytes) noexcept {
    check_size(p, bytes);
    deallocate(p);
}

EXPORTED std::size_t malloc_usable_size(void* p) noexcept {
    if (!p) return 0;
    const std::size_t after = class_after(p, "malloc_usable_size");
    return after ? watched::size_of(p, after - 1, "malloc_usable_size") : large::usable_size(p);
}

EXPORTED int malloc_trim(std::size_t keep) noexcept { return trim(keep); }

}  // extern "C"

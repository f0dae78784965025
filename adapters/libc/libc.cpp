// The C library as upstream. Any thread; errno is left as it was.
#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "adapters/base/errno_kept.hpp"
#include "base/pages.hpp"

#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

struct libc {
    // aligned_alloc takes multiples of the alignment only, and free takes neither size nor alignment. At least the
    // alignment is asked for, because a malloc in place of libc's may align 8 bytes to 8 only.
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const detail::errno_kept as_it_was;
        if (alignment <= alignof(std::max_align_t)) return std::malloc(std::max(bytes, alignment));
        const std::size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
        return rounded < bytes ? nullptr : std::aligned_alloc(alignment, std::max(rounded, alignment));
    }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept { std::free(p); }
    // libc itself returns memory from the top of its heap only.
    static void discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return "libc"; }
};

constinit libc only;

}  // namespace

upstream libc_upstream() noexcept { return only; }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

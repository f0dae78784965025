// The C library as upstream. Any thread; errno is left as it was.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "base/pages.hpp"

#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

struct libc {
    // aligned_alloc takes multiples of the alignment only; free asks for neither size nor alignment. Not less than the
    // alignment, because a malloc that stands in for libc's may align 8 bytes to 8 only.
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const int saved = errno;
        void* p;
        if (alignment <= alignof(std::max_align_t)) {
            p = std::malloc(std::max(bytes, alignment));
        } else {
            const std::size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
            p = rounded < bytes ? nullptr : std::aligned_alloc(alignment, std::max(rounded, alignment));
        }
        std::atomic_signal_fence(
            std::memory_order_seq_cst);  // clang takes malloc to leave errno alone: it would drop this:
        errno = saved;
        return p;
    }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept { std::free(p); }
    // libc itself gives memory back from the top of its heap only.
    static void discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return "libc"; }
};

constinit libc only;

}  // namespace

upstream libc_upstream() noexcept { return only; }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

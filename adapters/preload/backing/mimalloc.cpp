// The other malloc: mimalloc. Its library defines malloc's names, too, but is searched after the shim and libc.
#include <mimalloc.h>

#include "base/immortal.hpp"
#include "other_malloc.hpp"
#include "source/span_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

namespace {

// For regions; aligned "at" 0 as in adapters/mimalloc.
struct huge_blocks {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return mi_malloc_aligned_at(bytes, alignment, 0);
    }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept { mi_free(p); }
    static void purge() noexcept { mi_collect(true); }
    static const char* name() noexcept { return "mimalloc"; }
};

constinit detail::immortal<detail::span_regions<huge_blocks>> its_spans;

// At its first block mimalloc looks at files of the system, which a sandbox may forbid later.
__attribute__((constructor)) void start() noexcept { mi_free(mi_malloc(1)); }

}  // namespace

void start(std::chrono::nanoseconds, std::size_t) noexcept {}
std::size_t idle_bytes() noexcept { return 0; }
bool serves(const request&) noexcept { return true; }
bool holds(const void*) noexcept { return false; }
void* allocate(std::size_t bytes) noexcept { return mi_malloc(bytes); }
void* allocate_zeroed(std::size_t bytes) noexcept { return mi_zalloc(bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return mi_malloc_aligned_at(bytes, alignment, 0);
}
void* reallocate(void* p, std::size_t, std::size_t bytes) noexcept { return mi_realloc(p, bytes); }
void deallocate(void* p, std::size_t) noexcept { mi_free(p); }
std::size_t usable_size(void* p, std::size_t) noexcept { return mi_usable_size(p); }

bool purge() noexcept {
    its_spans.it.purge();
    return false;
}

upstream spans() noexcept { return its_spans.it; }

// mimalloc has no handlers of its own. Each heap is used by its thread only, and what heaps share is free of locks.
void before_fork() noexcept { its_spans.it.before_fork(); }
void after_fork(bool) noexcept { its_spans.it.after_fork(); }

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

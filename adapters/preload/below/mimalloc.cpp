// Below the shim: mimalloc. It comes with malloc's names, too, but behind ours and libc's.
#include <mimalloc.h>

#include "another.hpp"
#include "base/pages.hpp"

namespace tidepool::inline TIDEPOOL_ABI::preload::another {

namespace {

struct span_memory {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept { return mi_malloc_aligned(bytes, alignment); }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept { mi_free(p); }
    static void discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }
    static void purge() noexcept { mi_collect(true); }
    static bool leaf() noexcept { return true; }
    static const char* name() noexcept { return "mimalloc"; }
};
constinit span_memory its_spans;

}  // namespace

void* allocate(std::size_t bytes) noexcept { return mi_malloc(bytes); }
void* allocate_zeroed(std::size_t bytes) noexcept { return mi_zalloc(bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept { return mi_malloc_aligned(bytes, alignment); }
void* reallocate(void* p, std::size_t, std::size_t bytes) noexcept { return mi_realloc(p, bytes); }
void deallocate(void* p, std::size_t) noexcept { mi_free(p); }
std::size_t usable_size(void* p, std::size_t) noexcept { return mi_usable_size(p); }

void purge() noexcept { mi_collect(true); }

upstream spans() noexcept { return its_spans; }

// It has no handlers of its own. Its threads' heaps are theirs, and what they share is free of locks.
void before_fork() noexcept {}
void after_fork() noexcept {}

}  // namespace tidepool::inline TIDEPOOL_ABI::preload::another

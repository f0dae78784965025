// Below the shim: jemalloc, the private copy.
#include <atomic>

#include "adapters/jemalloc/names.hpp"
#include "another.hpp"
#include "base/immortal.hpp"
#include "base/pages.hpp"
#include "span_regions.hpp"

namespace tidepool::inline TIDEPOOL_ABI::preload::another {

namespace {

namespace je = ::tidepool_je;

void purge_arena(unsigned number) noexcept {
    std::size_t mib[3], length = 3;
    if (tidepool_je_mallctlnametomib("arena.0.purge", mib, &length) != 0) return;
    mib[1] = number;
    tidepool_je_mallctlbymib(mib, length, nullptr, nullptr, nullptr, 0);
}

// Regions of spans come from an arena of their own: a purge of it gives away what the pool has handed down, and leaves the
// program's large blocks to jemalloc's own decay.
struct arena_blocks {
    static inline constinit std::atomic<unsigned> arena{je::all_arenas};  // relaxed: a number; jemalloc publishes what it stands for

    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return tidepool_je_mallocx(bytes, flags() | je::aligned(alignment));
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        tidepool_je_sdallocx(p, bytes, je::uncached | je::aligned(alignment));
    }

private:
    // The arena is made by whoever comes first; of two that come at once one makes an arena that stays empty. Where there is
    // none to be had, jemalloc's own serve.
    static int flags() noexcept {
        unsigned number = arena.load(std::memory_order_relaxed);
        if (number == je::all_arenas) {
            std::size_t bytes = sizeof number;
            if (tidepool_je_mallctl("arenas.create", &number, &bytes, nullptr, 0) != 0) return je::uncached;
            unsigned none = je::all_arenas;
            if (!arena.compare_exchange_strong(none, number, std::memory_order_relaxed)) number = none;
        }
        return je::in_arena(number) | je::uncached;
    }
};

struct span_memory {
    detail::span_regions<arena_blocks> regions;

    void* allocate(std::size_t bytes, std::size_t) noexcept { return regions.allocate(bytes); }
    void deallocate(void* p, std::size_t bytes, std::size_t) noexcept { regions.deallocate(p, bytes); }
    static void discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }
    void purge() noexcept {
        regions.purge();
        purge_arena(arena_blocks::arena.load(std::memory_order_relaxed));
    }
    static bool leaf() noexcept { return true; }
    static const char* name() noexcept { return "jemalloc"; }
};
constinit detail::immortal<span_memory> its_spans;

}  // namespace

void* allocate(std::size_t bytes) noexcept { return tidepool_je_malloc(bytes); }
void* allocate_zeroed(std::size_t bytes) noexcept { return tidepool_je_calloc(1, bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return tidepool_je_mallocx(bytes, je::aligned(alignment));
}
void* reallocate(void* p, std::size_t, std::size_t bytes) noexcept { return tidepool_je_realloc(p, bytes); }
void deallocate(void* p, std::size_t) noexcept { tidepool_je_free(p); }
std::size_t usable_size(void* p, std::size_t) noexcept { return tidepool_je_malloc_usable_size(p); }

void purge() noexcept { purge_arena(je::all_arenas); }

upstream spans() noexcept { return its_spans.it; }

// jemalloc has handlers of its own.
void before_fork() noexcept { its_spans.it.regions.before_fork(); }
void after_fork() noexcept { its_spans.it.regions.after_fork(); }

}  // namespace tidepool::inline TIDEPOOL_ABI::preload::another

// Below the shim: jemalloc, the private copy.
#include <atomic>

#include "adapters/jemalloc/names.hpp"
#include "another.hpp"

namespace tidepool::inline TIDEPOOL_ABI::preload::another {

namespace {

namespace je = ::tidepool_je;

// Spans come from an arena of their own: a purge of it gives away what the pool has handed down, and leaves the program's
// large blocks to jemalloc's own decay.
struct span_memory {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return tidepool_je_mallocx(bytes, arena_flags() | je::aligned(alignment));
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        tidepool_je_sdallocx(p, bytes, je::uncached | je::aligned(alignment));
    }
    static void purge() noexcept { purge_arena(of_spans.load(std::memory_order_relaxed)); }
    static bool leaf() noexcept { return true; }
    static const char* name() noexcept { return "jemalloc"; }

    static void purge_arena(unsigned number) noexcept {
        std::size_t mib[3], length = 3;
        if (tidepool_je_mallctlnametomib("arena.0.purge", mib, &length) != 0) return;
        mib[1] = number;
        tidepool_je_mallctlbymib(mib, length, nullptr, nullptr, nullptr, 0);
    }

private:
    // The arena is made by whoever comes first. Of two that come at once one makes an arena that stays empty. Where there is
    // none to be had, jemalloc's own serve, and purge() is for all of them.
    static int arena_flags() noexcept {
        unsigned number = of_spans.load(std::memory_order_relaxed);  // relaxed: a number, of what jemalloc publishes itself
        if (number == je::all_arenas) {
            std::size_t bytes = sizeof number;
            if (tidepool_je_mallctl("arenas.create", &number, &bytes, nullptr, 0) != 0) return je::uncached;
            unsigned none = je::all_arenas;
            if (!of_spans.compare_exchange_strong(none, number, std::memory_order_relaxed)) number = none;
        }
        return je::in_arena(number) | je::uncached;
    }

    static inline constinit std::atomic<unsigned> of_spans{je::all_arenas};
};
constinit span_memory its_spans;

}  // namespace

void* allocate(std::size_t bytes) noexcept { return tidepool_je_malloc(bytes); }
void* allocate_zeroed(std::size_t bytes) noexcept { return tidepool_je_calloc(1, bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return tidepool_je_mallocx(bytes, je::aligned(alignment));
}
void* reallocate(void* p, std::size_t, std::size_t bytes) noexcept { return tidepool_je_realloc(p, bytes); }
void deallocate(void* p, std::size_t) noexcept { tidepool_je_free(p); }
std::size_t usable_size(void* p, std::size_t) noexcept { return tidepool_je_malloc_usable_size(p); }

void purge() noexcept { span_memory::purge_arena(je::all_arenas); }

upstream spans() noexcept { return its_spans; }

// It has handlers of its own.
void before_fork() noexcept {}
void after_fork() noexcept {}

}  // namespace tidepool::inline TIDEPOOL_ABI::preload::another

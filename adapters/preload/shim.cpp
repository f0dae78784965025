#include "shim.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <new>

#include "adapters/preload/base/plain_forms.hpp"
#include "adapters/preload/base/set_aside.hpp"
#include "adapters/preload/base/slow_section.hpp"
#include "background.hpp"
#include "backing/backing.hpp"
#include "backing/libc.hpp"
#include "base/clock.hpp"
#include "base/fatal.hpp"
#include "base/limits.hpp"
#include "base/signals_blocked.hpp"
#include "base/thread_id.hpp"
#include "clock/registry.hpp"
#include "forks.hpp"
#include "large.hpp"
#include "pool/pool.hpp"
#include "watched.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

using namespace detail;

settings current;

namespace {

// Most slices that tick_at_leisure() works off in one call.
constexpr int rounds_max = 10'000;

constinit std::atomic<pool*> the_pool{nullptr};
constinit std::atomic<bool> building{false};
constinit std::atomic<bool> loaded{false};  // our constructor has run

// In a slow section. Signals are blocked for all of them at once: a handler would allocate from libc's malloc, whose
// lock may be held; and where the call that blocks them is somebody's hook, which allocates and frees, there would be
// more with each block, without end.
void deallocate_aside(pool& to) noexcept {
    aside_block* block = take_aside();
    if (!block) return;
    const detail::signals_blocked undisturbed;
    while (block) {
        aside_block* next = block->next;
        const std::size_t after = page_map::class_after(block);
        if (hardened && after) watched::deallocated_aside(block);
        if (after)
            to.deallocate(block, static_cast<std::uint32_t>(after - 1));
        else
            large::free_inside(block);
        block = next;
    }
}

void free_foreign(void* block) noexcept {
    const detail::signals_blocked undisturbed;  // as in deallocate_aside()
    backing::free_inside(block);
}

pool* build() noexcept {
    // libc sets the environment before any other code runs; until then the loader is at work.
    if (!environ && !loaded.load(std::memory_order_relaxed)) return nullptr;
    if (building.exchange(true, std::memory_order_relaxed))
        return nullptr;  // one thread builds, the others do not wait
    alignas(pool) static std::byte place[sizeof(pool)];
    current.read();
    plain_forms::look(current.ignore_size != 0);
    const pool_plan plan{.sizes = {.count = size_class_count},
                         .limits = {.blocks_per_magazine_max = magazine::capacity_max,
                                    .magazine_bytes_max = limits::shim_magazine_bytes,
                                    .blocks_per_magazine_min = limits::shim_magazine_blocks,
                                    .local_bytes_max = static_cast<std::size_t>(current.local_bytes),
                                    // What is lent would lengthen the quarantine, not serve anybody.
                                    .depot_bytes_max = hardened ? 0 : static_cast<std::size_t>(current.depot_bytes),
                                    .private_bytes_max = limits::shim_private_bytes,
                                    .quarantine = hardened},
                         .decay_interval = std::chrono::milliseconds(current.decay_ms),
                         .index_wanted = shim_index,
                         .idle_bytes_max = static_cast<std::size_t>(current.idle_bytes),
                         .foreign = free_foreign,
                         .watches_contents = hardened};
    backing::start(plan.decay_interval, plan.idle_bytes_max);
    pool* fresh = ::new (place) pool(plan, backing::spans());
    forks::begin_to_listen();
    the_pool.store(fresh, std::memory_order_release);  // the pool, for built()
    return fresh;
}

// Null while there is none yet.
pool* built() noexcept { return the_pool.load(std::memory_order_acquire); }

// In a slow section.
pool* pool_ready() noexcept {
    pool* p = built();
    if (!p) return build();
    deallocate_aside(*p);
    return p;
}

// libc's malloc starts with its first call, and that with getrandom(), a cancellation point. So it is called here: for
// more than there is, which takes nothing.
void start_libc() noexcept {
    const int before = errno;
    libc::malloc(SIZE_MAX);
    errno = before;
}

__attribute__((constructor(101))) void on_load() {
    loaded.store(true, std::memory_order_relaxed);
    start_libc();
    if constexpr (hardened) static_cast<void>(thread_id());
    {
        const slow_section section;
        if (section) pool_ready();
    }
    if (current.background && current.decay_ms > 0) background::start(current.decay_ms, tick_at_leisure);
}

void* no_memory() noexcept {
    errno = ENOMEM;
    return nullptr;
}

void look_at_the_clock() noexcept {
    const slow_section section;
    if (section && built()) registry::tick_due(coarse_now());
}

// If the backing has no memory, all idle memory of the pool is returned to it, and it is asked again.
template <class Ask>
void* ask_backing(std::size_t bytes, Ask ask) noexcept {
    if (bytes > bytes_max) return no_memory();
    look_at_the_clock();
    const int before = errno;
    void* p = ask();
    if (p || !trim(0)) return p;
    if ((p = ask())) errno = before;
    return p;
}

void* allocate_large(std::size_t bytes) noexcept {
    return ask_backing(bytes, [=] { return large::malloc(bytes); });
}

void* allocate_large_aligned(std::size_t alignment, std::size_t bytes) noexcept {
    if (alignment > bytes_max || bytes > bytes_max - alignment) return no_memory();
    return ask_backing(bytes, [=] { return large::memalign(alignment, bytes); });
}

void* allocate_slow(std::size_t size_class) noexcept {
    {
        const slow_section section;
        pool* from = section ? pool_ready() : nullptr;
        if (from) {
            if (void* block = from->allocate(static_cast<std::uint32_t>(size_class))) return block;
        } else if (void* p = backing::malloc(size_class_bytes(static_cast<std::uint32_t>(size_class)))) {
            return p;
        }
    }
    return no_memory();
}

// In a hardened build: the program is given the block.
void* watch(void* p, std::size_t bytes) noexcept { return hardened ? watched::taken(p, bytes) : p; }

}  // namespace

void* allocate_missed(std::size_t bytes) noexcept {
    const std::size_t size_class = size_class_of(watched::with_room(bytes), 1);
    return size_class == no_size_class ? allocate_large(bytes) : watch(allocate_slow(size_class), bytes);
}

void* allocate_aligned_missed(std::size_t alignment, std::size_t bytes) noexcept {
    const std::size_t size_class = size_class_of(bytes, alignment);
    if (size_class == no_size_class) return allocate_large_aligned(alignment, bytes);
    if (watched::lacks_room(size_class, bytes) && bytes != 0 && watched::wants_guards())
        if (void* p = watched_large::guarded(alignment, bytes)) return p;
    void* p = watch(allocate_slow(size_class), bytes);
    if ((reinterpret_cast<std::uintptr_t>(p) & (alignment - 1)) == 0) return p;
    // The backing's, which is large enough but aligned to 16 only: allocated in a slow section, or freed to the pool by
    // a sized form.
    backing::free(p);
    return allocate_large_aligned(alignment, bytes);
}

std::size_t class_after(const void* p, const char* what) noexcept {
    const spans::location found = spans::locate(p);
    if (found.begin ? found.begin != p : found.in || reinterpret_cast<std::uintptr_t>(p) % granule != 0)
        fatal("%s of foreign pointer %p: no block begins there", what, p);
    return found.in ? found.in->size_class + 1 : 0;
}

void deallocate_missed(void* block, std::size_t size_class) noexcept {
    if constexpr (!hardened) class_after(block, "free");  // else it has been looked at
    const slow_section section;
    pool* to = section ? pool_ready() : nullptr;
    if (to) return to->deallocate(block, static_cast<std::uint32_t>(size_class));
    if constexpr (hardened) watched::set_aside(block);
    set_aside(block);
}

void* allocate_large_zeroed(std::size_t bytes) noexcept {
    return ask_backing(bytes, [=] { return large::calloc(1, bytes); });
}

void check_said_size(void* p, std::size_t bytes) noexcept {
    if (!p || plain_forms::sizes_ignored) return;
    if (page_map::find(p))
        watched::check_size(p, bytes);
    else
        watched_large::check_size(p, bytes);
}

void deallocate_other(void* p) noexcept {
    class_after(p, "free");
    large::free(p);
}

bool trim(std::size_t keep) noexcept {
    std::size_t gone = 0;
    {
        const slow_section section(meanwhile::wait);
        if (!section) return false;
        if (pool* p = built()) {
            deallocate_aside(*p);
            gone = p->trim(keep);
        }
    }
    if constexpr (hardened) watched_large::trim();
    return backing::trim(keep) || gone > 0;
}

tidepool::stats snapshot() noexcept {
    const slow_section section(meanwhile::wait);
    pool* p = section ? built() : nullptr;
    return p ? p->snapshot() : tidepool::stats{};
}

void tick_at_leisure() noexcept {
    const slow_section section;
    if (!section || !pool_ready()) return;
    for (int rounds = 0; rounds < rounds_max && registry::tick_due(coarse_now()); ++rounds) {
    }
}

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// What tables of virtual functions have in place of pure ones; the C++ runtime library, which is not linked, has
// another.
extern "C" [[noreturn]] __attribute__((visibility("hidden"))) void __cxa_pure_virtual() {
    tidepool::detail::fatal("a pure virtual function was called");
}

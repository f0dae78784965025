#include <tidepool/mimalloc.hpp>

#include <mimalloc.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>

#include "adapters/base/errno_kept.hpp"
#include "adapters/base/natural_alignment.hpp"
#include "adapters/base/plain_resource.hpp"
#include "base/immortal.hpp"
#include "base/made_once.hpp"
#include "base/pages.hpp"
#include "clock/heartbeat.hpp"
#include "source/span_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

// By the functions of one heap.
template <class Small, class Any, class Aligned>
void* allocate_by(std::size_t bytes, std::size_t alignment, Small small, Any any, Aligned aligned) noexcept {
    const detail::errno_kept as_it_was;
    bytes = detail::naturally_aligned_bytes(bytes, alignment);
    if (alignment > detail::natural_alignment) return aligned(bytes, alignment);
    return bytes <= MI_SMALL_SIZE_MAX ? small(bytes) : any(bytes);
}

// mimalloc itself. All members are thread-safe.
struct default_heaps {
    // Aligned "at" offset 0: 2.0.9's mi_malloc_aligned has a short cut that aligns 256, 512 and 1024 bytes to 128 only
    // (mimalloc issue 700).
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return allocate_by(bytes, alignment, mi_malloc_small, mi_malloc,
                           [](std::size_t n, std::size_t a) { return mi_malloc_aligned_at(n, a, 0); });
    }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept { mi_free(p); }
    static void purge() noexcept { mi_collect(true); }
    static std::size_t good_size(std::size_t bytes) noexcept { return std::max(bytes, mi_good_size(bytes)); }
    static const char* name() noexcept {
        const auto& text = detail::made_once<[] {
            struct {
                char of[32];
            } made{};
            // 209 is 2.0.9; later versions have two digits each: 30206 is 3.2.6.
            const int v = mi_version(), digit = v < 10'000 ? 10 : 100;
            std::snprintf(made.of, sizeof made.of, "mimalloc %d.%d.%d", v / (digit * digit), v / digit % digit,
                          v % digit);
            return made;
        }>();
        return text.of;
    }
};

constinit detail::immortal<detail::span_regions<default_heaps>> all;
[[maybe_unused]] const int forks_survived = detail::survive_forks<all>();  // mimalloc has no handlers of its own

// Usually written before there are heartbeats. The argument is written first and read last.
std::atomic<mimalloc_deferred_free*> next_function{nullptr};
std::atomic<void*> next_argument{nullptr};

// Early, and without an argument: 2.0.9 stores the function before its argument, and neither atomically.
void register_heartbeat() noexcept {
    detail::made_once<[] { return mi_register_deferred_free(mimalloc_heartbeat, nullptr), true; }>();
}

}  // namespace

// Forced means at a thread's exit or in mi_collect(true). At exit 2.0.9 destroys the heap meanwhile: what is allocated
// here would be lost, and would call this function again.
void mimalloc_heartbeat(bool force, unsigned long long heartbeat, void*) noexcept {
    if (!force) detail::heartbeat();
    if (mimalloc_deferred_free* next = next_function.load(std::memory_order_acquire))  // partner: mimalloc_pass_on()
        next(force, heartbeat, next_argument.load(std::memory_order_relaxed));
}

void mimalloc_pass_on(mimalloc_deferred_free* next, void* argument) noexcept {
    next_argument.store(argument, std::memory_order_relaxed);
    next_function.store(next, std::memory_order_release);  // with its argument
}

upstream mimalloc_upstream() noexcept {
    register_heartbeat();
    return all.it;
}

std::pmr::memory_resource* mimalloc_resource() noexcept { return detail::plain_resource<default_heaps>::get(); }

// ---- a heap of its own ---------------------------------------------------------------------------------------------

mimalloc_heap::mimalloc_heap() noexcept { register_heartbeat(); }
mimalloc_heap::~mimalloc_heap() { release(); }

void* mimalloc_heap::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if (!mine() || !(heap_ || (heap_ = mi_heap_new()))) return nullptr;
    return allocate_by(
        bytes, alignment, [this](std::size_t n) { return mi_heap_malloc_small(heap_, n); },
        [this](std::size_t n) { return mi_heap_malloc(heap_, n); },
        [this](std::size_t n, std::size_t a) { return mi_heap_malloc_aligned_at(heap_, n, a, 0); });
}

void mimalloc_heap::deallocate(void* p, std::size_t, std::size_t) noexcept { mi_free(p); }

void mimalloc_heap::purge() noexcept {
    if (mine() && heap_) mi_heap_collect(heap_, true);
}

void mimalloc_heap::discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }

void mimalloc_heap::release() noexcept {
    if (heap_) mi_heap_destroy(heap_);
    heap_ = nullptr;
}

std::size_t mimalloc_heap::good_size(std::size_t bytes) const noexcept { return default_heaps::good_size(bytes); }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

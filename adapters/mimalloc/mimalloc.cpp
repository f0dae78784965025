#include <tidepool/mimalloc.hpp>

#include <mimalloc.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <new>

#include "base/immortal.hpp"
#include "base/made_once.hpp"
#include "base/pages.hpp"
#include "clock/heartbeat.hpp"
#include "source/span_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

// mimalloc aligns to 16 what has more than 8 bytes.
constexpr std::size_t natural_alignment = 16;

// By the given heap's functions. errno is left as it was.
template <class Small, class Any, class Aligned>
void* allocate_by(std::size_t bytes, std::size_t alignment, Small small, Any any, Aligned aligned) noexcept {
    const int saved = errno;
    if (alignment > natural_alignment / 2) bytes = std::max(bytes, natural_alignment);
    void* p = alignment > natural_alignment ? aligned(bytes, alignment)
              : bytes <= MI_SMALL_SIZE_MAX  ? small(bytes)
                                            : any(bytes);
    errno = saved;
    return p;
}

// Aligned "at" offset 0: 2.0.9's mi_malloc_aligned has a short cut that aligns 256, 512 and 1024 bytes to 128 only
// (mimalloc issue 700).
void* allocate_default(std::size_t bytes, std::size_t alignment) noexcept {
    return allocate_by(bytes, alignment, mi_malloc_small, mi_malloc,
                       [](std::size_t n, std::size_t a) { return mi_malloc_aligned_at(n, a, 0); });
}

// Where spans come from: blocks that mimalloc gives to the system as soon as they are freed, whichever thread has them.
struct huge_blocks {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return allocate_default(bytes, alignment);
    }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept { mi_free(p); }
};
using regions = detail::span_regions<huge_blocks>;
constinit detail::immortal<regions> spans;

// A child finds the regions whole; mimalloc itself has nothing of the kind. At load: no child is forked while it is
// half done.
[[maybe_unused]] const int forks_heard =
    ::pthread_atfork([] { spans.it.before_fork(); }, [] { spans.it.after_fork(); }, [] { spans.it.after_fork(); });

struct default_heaps {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        if (regions::serves(bytes, alignment))
            if (void* p = spans.it.allocate(bytes)) return p;
        return allocate_default(bytes, alignment);
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        if (!regions::serves(bytes, alignment) || !spans.it.deallocate(p, bytes)) mi_free(p);
    }
    static std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                      std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i)
            if (!(out[i] = allocate(bytes, alignment))) return i;
        return count;
    }
    static void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) deallocate(blocks[i], bytes, alignment);
    }
    static void purge() noexcept {
        spans.it.purge();
        mi_collect(true);
    }
    static void discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }
    static std::size_t good_size(std::size_t bytes) noexcept { return std::max(bytes, mi_good_size(bytes)); }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept {
        const auto& text = detail::made_once<[] {
            struct {
                char of[32];
            } made{};
            // 209 is 2.0.9; later on, with two digits each, 30206 is 3.2.6.
            const int v = mi_version(), digit = v < 10'000 ? 10 : 100;
            std::snprintf(made.of, sizeof made.of, "mimalloc %d.%d.%d", v / (digit * digit), v / digit % digit,
                          v % digit);
            return made;
        }>();
        return text.of;
    }
};

constinit default_heaps all;

class plain_resource final : public std::pmr::memory_resource {
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (void* p = allocate_default(bytes, alignment)) return p;
        throw std::bad_alloc();
    }
    void do_deallocate(void* p, std::size_t, std::size_t) override { mi_free(p); }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

// Written as a rule before there are heartbeats; the argument before the function, read the other way round.
std::atomic<mimalloc_deferred_free*> next_function{nullptr};
std::atomic<void*> next_argument{nullptr};

// Early, and without an argument: 2.0.9 stores the function before its argument and neither atomically.
void register_heartbeat() noexcept {
    detail::made_once<[] { return mi_register_deferred_free(mimalloc_heartbeat, nullptr), true; }>();
}

}  // namespace

// Forced means: at a thread's exit, or in mi_collect(true). At exit 2.0.9 takes the heap down around us: what would be
// allocated here would be lost, and would have us called again.
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
    return all;
}

std::pmr::memory_resource* mimalloc_resource() noexcept {
    static constinit detail::immortal<plain_resource> only;  // static objects may use it to the end
    return &only.it;
}

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

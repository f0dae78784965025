// Large blocks: runs of pages in the regions that spans are cut from. Without them libc's heap would be trimmed at each
// large block that is freed and grown again at the next, because small blocks do not hold its top. Any thread, in a
// slow section.
//
// The way of a block: it takes the first pages that are free, and is entered in the book (over_other_malloc.cpp). Any
// thread frees it: out of the book first, then its pages are idle, for whatever block or span is next. The second tick
// from then on finds them still idle; they expire, and looks at the clock return them, a neighbourhood at a time, so
// that all are gone at the next tick. malloc_trim() returns what is idle at once, and so does a request that there is
// no memory for, before it fails. A fork waits until no thread has pages in hand; no block is lost by it, but for those
// that other threads are about to allocate. At exit nothing is left to do.
//
// Invariants:
//  1. Each block is a run of used pages, of the bytes that were asked for rounded up, from its address on.
//  2. Idle bytes are at most idle_bytes_max, but for what is just being freed.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <new>

#include "adapters/base/mapped_pages.hpp"
#include "base/clock.hpp"
#include "base/immortal.hpp"
#include "base/pages.hpp"
#include "clock/registry.hpp"
#include "clock/tick_deadline.hpp"
#include "clock/tick_share.hpp"
#include "source/span_regions.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

class large_runs final : detail::registrant {
public:
    using regions = detail::span_regions<detail::mapped_pages>;

    // Is ticked from now on, and exists to the end of the process.
    large_runs(regions& from, std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept
        : from_(from),
          idle_bytes_max_(idle_bytes_max),
          deadline_(decay_interval, detail::coarse_now()),
          share_(decay_interval) {
        detail::registry::join(*this, detail::direct_pools);
    }

    static constexpr std::size_t bytes_max = regions::span_bytes_max;
    static constexpr bool serves(std::size_t bytes, std::size_t alignment) noexcept {
        return bytes > detail::pooled_bytes_max && bytes <= bytes_max && alignment <= regions::slot_bytes;
    }

    // Requires serves(). Null if there is no memory for it in a region. What is in it is anything.
    void* take(std::size_t bytes, std::size_t alignment) noexcept { return from_.take(bytes, alignment); }
    void* take_zeroed(std::size_t bytes) noexcept {
        detail::region::stained with;
        auto* p = static_cast<std::byte*>(from_.take(bytes, 1, &with));
        const std::size_t page = detail::page_bytes();
        for (std::size_t at = 0; p && at < bytes; at += page)
            if (with[at / page]) std::memset(p + at, 0, page);
        return p;
    }
    // False if p is none of these blocks. `bytes`: that were asked for.
    bool give(void* p, std::size_t bytes) noexcept {
        if (!from_.give(p, bytes, detail::region::as::idle)) return false;
        if (from_.idle() > idle_bytes_max_) {
            from_.expire(from_.idle() - idle_bytes_max_ + slice_bytes);
            from_.return_gathered();
        }
        return true;
    }
    // Requires holds(p), and at most bytes_max. If null, p is left as it was.
    void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
        if (from_.resize(p, had, bytes)) return p;
        void* moved = from_.take(bytes, 1);
        if (!moved) return nullptr;
        std::memcpy(moved, p, std::min(had, bytes));
        give(p, had);
        return moved;
    }
    bool holds(const void* p) noexcept { return from_.holds(p); }
    std::size_t idle_bytes() const noexcept { return from_.idle() + from_.expired(); }

    bool tick_if_due(std::chrono::nanoseconds now) noexcept override {
        const bool ticks = deadline_.claim(now);
        if (ticks) {
            age();
            share_.begin(now);
        }
        if (!leaving_.load(std::memory_order_relaxed)) return ticks;
        from_.return_expired(std::max<std::size_t>(share_.owed(from_.expired(), now), slice_bytes));
        if (from_.expired() == 0) leaving_.store(false, std::memory_order_relaxed);
        return true;
    }
    void tick_now() noexcept override {
        age();
        from_.return_expired(all);
        leaving_.store(false, std::memory_order_relaxed);
    }
    std::chrono::nanoseconds due() const noexcept override {
        return leaving_.load(std::memory_order_relaxed) ? std::chrono::nanoseconds::min() : deadline_.due();
    }
    bool heartbeat_safe() const noexcept override { return true; }
    void reclaim(const void*, detail::reclaim_depth) noexcept override {}
    void thread_exits(detail::thread_slot&) noexcept override {}

private:
    static constexpr std::size_t all = static_cast<std::size_t>(-1);
    static constexpr std::size_t slice_bytes = std::size_t{512} << 10;  // a look returns this much at least

    void age() noexcept {
        if constexpr (detail::checked) from_.check();
        from_.age();
        if (from_.expired() != 0) leaving_.store(true, std::memory_order_relaxed);
    }

    regions& from_;
    const std::size_t idle_bytes_max_;
    detail::tick_deadline deadline_;
    detail::tick_share share_;
    // Whether a tick has left something to return. Relaxed: a stale value makes a slice early or late by a look.
    std::atomic<bool> leaving_{false};
};

// The regions of a process, and their large blocks from start() on.
class shared_regions {
public:
    void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept {
        large_.store(::new (place_) large_runs(regions_.it, decay_interval, idle_bytes_max), std::memory_order_release);
    }
    // Null before.
    large_runs* large() const noexcept { return large_.load(std::memory_order_acquire); }  // partner: start()

    // As the upstream of the pool. What has expired leaves by the ticks of large_runs.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept { return regions_.it.allocate(bytes, alignment); }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        regions_.it.deallocate(p, bytes, alignment);
    }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return large_runs::regions::name(); }

    // For malloc_trim(), and before a request fails.
    bool release_idle() noexcept { return regions_.it.release_idle(); }

    void before_fork() noexcept { regions_.it.before_fork(); }
    void after_fork() noexcept { regions_.it.after_fork(); }

private:
    detail::immortal<large_runs::regions> regions_;
    std::atomic<large_runs*> large_{nullptr};
    alignas(large_runs) std::byte place_[sizeof(large_runs)]{};
};

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

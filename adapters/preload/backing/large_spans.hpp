// Large blocks from the regions that spans are cut from. Without them libc's heap would be trimmed at each large block
// that is freed and grown again at the next, because small blocks do not hold its top. What is freed waits for the next
// request of its size, for two ticks at most. Any thread, in a slow section.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <new>

#include "adapters/base/mapped_pages.hpp"
#include "base/arena.hpp"
#include "base/clock.hpp"
#include "base/immortal.hpp"
#include "clock/registry.hpp"
#include "clock/tick_deadline.hpp"
#include "source/idle_spans.hpp"
#include "source/metered_upstream.hpp"
#include "source/span_regions.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

class large_spans final : detail::registrant {
public:
    using regions = detail::span_regions<detail::mapped_pages>;
    using shared_regions = detail::immortal<regions>;

    // Is ticked from now on, and exists to the end of the process.
    large_spans(shared_regions& from, std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept
        : from_(from), idle_(metered_, records_, idle_bytes_max), deadline_(decay_interval, detail::coarse_now()) {
        detail::registry::join(*this, detail::direct_pools);
    }

    static constexpr bool serves(std::size_t bytes, std::size_t alignment) noexcept {
        return bytes > detail::pooled_bytes_max && bytes <= regions::span_bytes_max && alignment <= regions::slot_bytes;
    }

    // What a block of `bytes` has: whole slots, four sizes from one power of two to the next.
    static constexpr std::size_t usable(std::size_t bytes) noexcept {
        const std::size_t step = std::max(regions::slot_bytes, std::bit_ceil(bytes) / 8);
        return (bytes + step - 1) / step * step;
    }

    // Requires serves(). Null if there is no memory for it in a region. What is in it is anything.
    void* take(std::size_t bytes) noexcept { return idle_.take(usable(bytes), false); }
    // False if p is none of these blocks. `bytes`: that was asked for.
    bool give(void* p, std::size_t bytes) noexcept {
        if (!holds(p)) return false;
        idle_.keep(p, usable(bytes));
        return true;
    }
    // Requires holds(p), and serves(bytes). If null, p is left as it was.
    void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
        if (usable(bytes) == usable(had)) return p;
        void* moved = take(bytes);
        if (!moved) return nullptr;
        std::memcpy(moved, p, std::min(had, bytes));
        give(p, had);
        return moved;
    }
    bool holds(const void* p) noexcept { return from_.it.holds(p); }

    std::size_t idle_bytes() const noexcept { return idle_.bytes(); }
    // Returns all that is idle. Whether there was any.
    bool shrink() noexcept { return idle_.shrink(0) > 0; }

    bool tick_if_due(std::chrono::nanoseconds now) noexcept override {
        if (deadline_.claim(now)) age();
        const std::size_t expired = idle_.expired();
        if (expired == 0) return false;
        idle_.return_expired(1 + expired / 16);
        if (idle_.expired() == 0) from_.it.purge();
        return true;
    }
    void tick_now() noexcept override {
        age();
        idle_.return_expired(idle_.expired());
    }
    std::chrono::nanoseconds due() const noexcept override {
        return idle_.expired() ? std::chrono::nanoseconds::min() : deadline_.due();
    }
    bool heartbeat_safe() const noexcept override { return true; }
    void reclaim(const void*, detail::reclaim_depth) noexcept override {}
    void thread_exits(detail::thread_slot&) noexcept override {}
    void before_fork() noexcept override {
        idle_.before_fork();
        records_.before_fork();
    }
    void after_fork_in_parent() noexcept override {
        records_.after_fork();
        idle_.after_fork();
    }
    void after_fork_in_child() noexcept override { after_fork_in_parent(); }

private:
    // The regions alone: a block that lies in none would not be recognized.
    struct spans_alone {
        shared_regions& from;

        void* allocate(std::size_t bytes, std::size_t) noexcept { return from.it.take(bytes); }
        void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
            from.it.deallocate(p, bytes, alignment);
        }
    };

    // What is left of the tick before leaves first.
    void age() noexcept {
        idle_.return_expired(idle_.expired());
        if constexpr (detail::checked) idle_.check();
        idle_.age();
    }

    // Sizes of 64 KiB to 4 MiB: steps of 64 KiB up to 512 KiB, and then of a quarter of a power of two.
    static constexpr std::size_t sizes = 8 + 3 * 4;

    shared_regions& from_;
    spans_alone alone_{from_};
    detail::metered_upstream metered_{upstream(alone_)};
    detail::arena records_;
    detail::idle_spans_of<sizes> idle_;
    detail::tick_deadline deadline_;
};

// The regions of a process, and their large blocks from start() on.
class shared_spans {
public:
    void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept {
        large_.store(::new (place_) large_spans(regions_, decay_interval, idle_bytes_max), std::memory_order_release);
    }
    // Null before.
    large_spans* large() const noexcept { return large_.load(std::memory_order_acquire); }  // partner: start()

    // As the upstream of the pool, which is not refused memory for what is idle here.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        void* p = regions_.it.allocate(bytes, alignment);
        if (p || !large() || !large()->shrink()) return p;
        return regions_.it.allocate(bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        regions_.it.deallocate(p, bytes, alignment);
    }
    void purge() noexcept { regions_.it.purge(); }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return large_spans::regions::name(); }

    void before_fork() noexcept { regions_.it.before_fork(); }
    void after_fork() noexcept { regions_.it.after_fork(); }

private:
    large_spans::shared_regions regions_;
    std::atomic<large_spans*> large_{nullptr};
    alignas(large_spans) std::byte place_[sizeof(large_spans)]{};
};

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

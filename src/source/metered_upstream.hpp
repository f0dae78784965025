// An upstream with books: bytes held now and at most. Marks the thread for the time of each call (clock/heartbeat.hpp).
// All members are thread-safe except release_all(), which needs exclusive access.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/assert.hpp"
#include "base/counters.hpp"
#include "clock/heartbeat.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class metered_upstream {
public:
    explicit metered_upstream(const upstream& from) noexcept : upstream_(from) {}

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const upstream_call here;
        void* p = upstream_.allocate(bytes, alignment);
        if (p) grew(bytes);
        return p;
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        const upstream_call here;
        held_.fetch_sub(bytes, std::memory_order_relaxed);
        upstream_.deallocate(p, bytes, alignment);
    }
    // As deallocate(), of memory that nobody wants soon.
    void release(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        {
            const upstream_call here;
            upstream_.discard(p, bytes);
        }
        deallocate(p, bytes, alignment);
    }
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept {
        const upstream_call here;
        const std::size_t got = upstream_.allocate_batch(bytes, alignment, out, count);
        if (got) grew(bytes * got);
        return got;
    }
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept {
        const upstream_call here;
        held_.fetch_sub(bytes * count, std::memory_order_relaxed);
        upstream_.deallocate_batch(bytes, alignment, blocks, count);
    }
    void purge() noexcept {
        const upstream_call here;
        upstream_.purge();
    }

    bool releases() const noexcept { return upstream_.releases(); }
    // Needs releases().
    void release_all() noexcept {
        TIDEPOOL_ASSERT(releases(), "an upstream that cannot");
        const upstream_call here;
        upstream_.release();
        held_.store(0, std::memory_order_relaxed);
    }

    bool heartbeat_safe() const noexcept { return upstream_.heartbeat_safe(); }
    bool draws_from(const void* allocator) const noexcept { return upstream_.draws_from(allocator); }

    // Relaxed throughout: sums, not signals.
    std::uint64_t held() const noexcept { return held_.load(std::memory_order_relaxed); }
    std::uint64_t peak() const noexcept { return peak_.get(); }

private:
    void grew(std::size_t bytes) noexcept { peak_.note(held_.fetch_add(bytes, std::memory_order_relaxed) + bytes); }

    const upstream upstream_;
    std::atomic<std::uint64_t> held_{0};
    detail::peak peak_;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

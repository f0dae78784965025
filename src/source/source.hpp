// Where the engine's blocks come from and go to: spans, direct, or an object pool's objects.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "clock/heartbeat.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// The block size of each size class: those of size_classes.hpp, or one size for a pool that has only one.
struct block_sizes {
    std::uint32_t count;
    std::size_t only = 0;  // bytes; 0 where the table's sizes hold

    std::size_t operator[](std::uint32_t size_class) const noexcept {
        return only ? only : size_class_bytes(size_class);
    }
};

// Any thread may call any member at any time, but for set_up() and release_all(). No caller holds a lock, but for
// set_up().
class source {
public:
    // Called once, before anything else; asks the upstream for nothing. False when there is no memory: then again.
    virtual bool set_up() noexcept { return true; }
    // Fills blocks[0 .. result) with blocks of the class; result < count when memory ran out, 0 where blocks are not
    // made here (objects).
    virtual std::size_t refill(std::uint32_t size_class, void** blocks, std::size_t count) noexcept = 0;
    // Takes blocks of the class back; in any order, unused by anyone. Asks for no memory. `stale`: they have decayed,
    // or memory is wanted elsewhere, so what they fill up is not kept for the next who asks.
    virtual void drain(std::uint32_t size_class, void** blocks, std::size_t count, bool stale) noexcept = 0;

    // What is kept idle here: its bytes; a tick, which marks what has been idle for a whole one; how many pieces are so
    // marked; the return of up to `most` of them, in bytes; the return of all but `keep_bytes`, in bytes.
    virtual std::size_t idle_bytes() const noexcept { return 0; }
    virtual void age() noexcept {}
    virtual std::size_t expired() const noexcept { return 0; }
    virtual std::size_t return_expired([[maybe_unused]] std::size_t most) noexcept { return 0; }
    virtual std::size_t shrink([[maybe_unused]] std::size_t keep_bytes) noexcept { return 0; }

    // Gives everything back, blocks in use too, and returns true; or does nothing and returns false.
    virtual bool release_all() noexcept { return false; }
    // Around a fork, by the forking thread: takes every lock, and gives it back.
    virtual void before_fork() noexcept {}
    virtual void after_fork() noexcept {}

protected:
    ~source() = default;
};

// The largest value that was noted. Relaxed: a peak.
class peak {
public:
    void note(std::uint64_t now) noexcept {
        std::uint64_t most = get();
        while (most < now && !value_.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
        }
    }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// An upstream with books: bytes held now and at most. Marks the thread for the time of each call (src/heartbeat.hpp).
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
    // Needs releases(). Nobody else may be calling.
    void release_all() noexcept {
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

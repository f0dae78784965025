// Spans cut from regions: 32 MiB at a time from an allocator below, for adapters to allocators that would keep
// something of each span for themselves. mimalloc 2 links a freed block through its first bytes until the thread that
// it came from comes by: a page for each span as long as that thread sleeps. Of a block above 16 MiB, which a region
// is, it keeps nothing. And most threads that use a pool need no heap or cache of the allocator's own.
//
// Who calls it: adapters, for what serves() says. Any thread; the lock is not held across a call to the allocator
// below, whose heartbeat may come back here.
//
// Bounded by the regions that have room: a few words of each are looked at. A span serves four blocks or more, as a
// rule dozens, and idle ones wait above (src/idle_spans.hpp), so the lock is not on the way of every block.
//
// Invariants, under the lock:
//  1. Bit i of `used` is set exactly if slot i of the region is part of a span that is out; `free` counts the others.
//  2. Each region lies in the bucket of its base; `open` links exactly those with free > 0.
//  3. At most one region is wholly free: the reserve, for a program that swings around the end of a region.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/arena.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/spin_lock.hpp"
#include "source/page_map.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Below: static members `void* allocate(bytes, alignment)`, null where there is no memory, and `deallocate(p, bytes,
// alignment)`.
template <class Below>
class span_regions {
public:
    static constexpr std::size_t slot_bytes = page_map::page;
    static constexpr std::size_t region_bytes = std::size_t{32} << 20;
    static constexpr std::size_t span_bytes_max = 64 * slot_bytes;  // one word of bits; the largest span there is

    static constexpr bool serves(std::size_t bytes, std::size_t alignment) noexcept {
        return alignment == slot_bytes && bytes % slot_bytes == 0 && bytes - 1 < span_bytes_max;
    }

    // Null when there is no memory for a region.
    void* allocate(std::size_t bytes) noexcept {
        {
            const lock_guard hold(lock_);
            if (void* p = take(bytes)) return p;
        }
        void* base = Below::allocate(region_bytes, slot_bytes);
        if (!base) return nullptr;
        {
            const lock_guard hold(lock_);
            if (add(static_cast<std::byte*>(base))) return take(bytes);
        }
        Below::deallocate(base, region_bytes, slot_bytes);
        return nullptr;
    }

    // False where it is no span of a region.
    bool deallocate(void* p, std::size_t bytes) noexcept {
        region* gone = nullptr;
        {
            const lock_guard hold(lock_);
            region* in = find(static_cast<std::byte*>(p));
            if (!in) return false;
            give(*in, static_cast<std::byte*>(p), bytes);
            if (in->free == slots) gone = std::exchange(reserve_, in);
            if (gone) remove(gone);
        }
        return_region(gone);
        return true;
    }

    // The reserve goes back.
    void purge() noexcept {
        region* gone;
        {
            const lock_guard hold(lock_);
            gone = std::exchange(reserve_, nullptr);
            if (gone) remove(gone);
        }
        return_region(gone);
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    static constexpr std::size_t slots = region_bytes / slot_bytes;
    static constexpr std::size_t word_bits = 64;
    static constexpr std::size_t buckets = 256;

    struct region {
        std::byte* base;
        std::size_t free;
        region* bucket_next;  // or the next unused record
        region* open_next;
        region* open_previous;
        std::array<std::uint64_t, slots / word_bits> used;
    };

    // Of 32 MiB of addresses each; a region begins in one of them and may end in the next.
    region*& bucket_of(std::uintptr_t address) noexcept { return buckets_[address / region_bytes % buckets]; }

    region* find(const std::byte* p) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(p);
        for (const std::uintptr_t begins : {address, address - region_bytes})
            for (region* r = bucket_of(begins); r; r = r->bucket_next)
                if (static_cast<std::size_t>(p - r->base) < region_bytes) return r;
        return nullptr;
    }

    static std::uint64_t ones(std::size_t count) noexcept { return ~std::uint64_t{0} >> (word_bits - count); }

    // From the region that opened last: the others get the time to come home whole.
    void* take(std::size_t bytes) noexcept {
        const std::size_t count = bytes / slot_bytes, step = std::bit_ceil(count);
        for (region* r = open_; r; r = r->open_next) {
            if (r->free < count) continue;
            for (std::size_t w = 0; w < r->used.size(); ++w)
                for (std::size_t at = 0; r->used[w] != ~std::uint64_t{0} && at + count <= word_bits; at += step) {
                    if (r->used[w] & ones(count) << at) continue;
                    r->used[w] |= ones(count) << at;
                    r->free -= count;
                    if (r == reserve_) reserve_ = nullptr;
                    if (r->free == 0) close(r);
                    return r->base + (w * word_bits + at) * slot_bytes;
                }
        }
        return nullptr;
    }

    void give(region& in, const std::byte* p, std::size_t bytes) noexcept {
        const auto slot = static_cast<std::size_t>(p - in.base) / slot_bytes;
        const std::size_t count = bytes / slot_bytes;
        in.used[slot / word_bits] &= ~(ones(count) << slot % word_bits);
        if (in.free == 0) open(&in);
        in.free += count;
    }

    bool add(std::byte* base) noexcept {
        region* r = unused_;
        if (r)
            unused_ = r->bucket_next;
        else if (!(r = records_.make<region>(0)))
            return false;
        region*& bucket = bucket_of(reinterpret_cast<std::uintptr_t>(base));
        *r = {.base = base,
              .free = slots,
              .bucket_next = bucket,
              .open_next = nullptr,
              .open_previous = nullptr,
              .used = {}};
        bucket = r;
        open(r);
        return true;
    }

    void remove(region* r) noexcept {
        close(r);
        region** link = &bucket_of(reinterpret_cast<std::uintptr_t>(r->base));
        while (*link != r) link = &(*link)->bucket_next;
        *link = r->bucket_next;
    }

    // Without the lock; nobody else has the record meanwhile.
    void return_region(region* gone) noexcept {
        if (!gone) return;
        Below::deallocate(gone->base, region_bytes, slot_bytes);
        const lock_guard hold(lock_);
        gone->bucket_next = unused_;
        unused_ = gone;
    }

    void open(region* r) noexcept {
        r->open_next = open_;
        r->open_previous = nullptr;
        if (open_) open_->open_previous = r;
        open_ = r;
    }
    void close(region* r) noexcept {
        (r->open_previous ? r->open_previous->open_next : open_) = r->open_next;
        if (r->open_next) r->open_next->open_previous = r->open_previous;
    }

    spin_lock lock_{lock_rank::span_regions};  // guards all below
    std::array<region*, buckets> buckets_{};
    region* open_ = nullptr;
    region* reserve_ = nullptr;
    region* unused_ = nullptr;
    arena records_{lock_rank::region_records};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

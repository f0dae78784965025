// An upstream whose spans are cut from regions, blocks of 32 MiB from an allocator that would keep something of each
// span for itself. mimalloc 2 links a freed block through its first bytes until the thread that allocated it runs
// again: a page for each span as long as that thread sleeps. Of a block above 16 MiB, such as a region, it keeps
// nothing. And most threads that use a pool need no heap or cache of the allocator's own.
//
// Who uses it: the adapters to such allocators, and the malloc shim over them. All members are thread-safe. The lock is
// not held across a call to the allocator, whose heartbeat may call back.
//
// Complexity: linear in the regions that have room; a few words of each are read. A span serves four blocks or more,
// usually dozens, and idle ones wait in idle_spans.hpp, so the lock is not taken for every block.
//
// Invariants, under the lock:
//  1. Bit i of `used` is set exactly if slot i of the region is part of a span in use; `free` counts the others.
//  2. Each region is in the bucket of its base; `open_` links exactly those with free > 0.
//  3. At most one region is all free: the reserve, for a program that swings around the end of a region.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/arena.hpp"
#include "base/fatal.hpp"
#include "base/immortal.hpp"
#include "base/linked_list.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/spin_lock.hpp"
#include "base/test_peer.hpp"
#include "base/thread_safety.hpp"
#include "source/page_map.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// What a Backing may have besides: blocks that are not spans in batches, and what a block of some size has.
template <class Backing>
concept allocates_batches = requires(std::size_t n, void** out) {
    Backing::allocate_batch(n, n, out, n);
};
template <class Backing>
concept knows_good_sizes = requires(std::size_t n) {
    Backing::good_size(n);
};

// Backing: the allocator, as a class with static members `void* allocate(bytes, alignment)`, null if there is no
// memory; `deallocate(p, bytes, alignment)`; `purge()`, which returns idle memory to the operating system; and
// `name()`.
template <class Backing>
class span_regions {
public:
    static constexpr std::size_t slot_bytes = page_map::page;
    static constexpr std::size_t region_bytes = std::size_t{32} << 20;
    static constexpr std::size_t span_bytes_max = 64 * slot_bytes;  // one word of bits; the largest span there is

    static constexpr bool is_span(std::size_t bytes, std::size_t alignment) noexcept {
        return alignment == slot_bytes && bytes % slot_bytes == 0 && bytes - 1 < span_bytes_max;
    }

    // As an upstream. Blocks that are not spans come from the allocator itself, and so does a span when there is no
    // memory for a region.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        if (is_span(bytes, alignment))
            if (void* p = allocate_span(bytes)) return p;
        return Backing::allocate(bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        if (!is_span(bytes, alignment) || !deallocate_span(static_cast<std::byte*>(p), bytes))
            Backing::deallocate(p, bytes, alignment);
    }
    static std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                      std::size_t count) noexcept requires allocates_batches<Backing> {
        return Backing::allocate_batch(bytes, alignment, out, count);
    }
    static std::size_t good_size(std::size_t bytes) noexcept requires knows_good_sizes<Backing> {
        return Backing::good_size(bytes);
    }
    // The reserve first.
    void purge() noexcept {
        region* gone;
        {
            const lock_guard hold(lock_);
            gone = std::exchange(reserve_, nullptr);
            if (gone) remove(*gone);
        }
        if (gone) return_region(*gone);
        Backing::purge();
    }
    static void discard(void* p, std::size_t bytes) noexcept { empty_pages(p, bytes); }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return Backing::name(); }

    // Ends the program where an invariant does not hold. Linear in the regions.
    void check() noexcept {
        const lock_guard hold(lock_);
        if (!open_.whole()) fatal("the list of regions with room is broken");
        std::size_t with_room = 0, all_free = 0;
        for (const region* r = open_.first(); r; r = open_.after(*r)) ++with_room;
        for (std::size_t i = 0; i < buckets; ++i)
            for (const region* r = buckets_[i]; r; r = r->bucket_next) {
                std::size_t free = slots;
                for (const std::uint64_t word : r->used) free -= static_cast<std::size_t>(std::popcount(word));
                if (free != r->free) fatal("a region has %zu free slots and counts %zu", free, r->free);
                if (&bucket_of(reinterpret_cast<std::uintptr_t>(r->base)) != &buckets_[i])
                    fatal("the region at %p is in the wrong bucket", static_cast<void*>(r->base));
                if (free == slots && r != reserve_) fatal("a region is all free and is not the reserve");
                all_free += free == slots;
                with_room -= free > 0;
            }
        if (with_room != 0) fatal("the list of regions with room does not have exactly those");
        if (all_free != (reserve_ != nullptr)) fatal("the reserve is not all free");
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    friend struct test_peer<span_regions>;

    static constexpr std::size_t slots = region_bytes / slot_bytes;
    static constexpr std::size_t word_bits = 64;
    static constexpr std::size_t buckets = 256;

    struct region {
        std::byte* base;
        std::size_t free;
        region* bucket_next;  // or the next unused record
        list_links<region> open_links;
        std::array<std::uint64_t, slots / word_bits> used;
    };

    // Null if there is no memory for a region.
    void* allocate_span(std::size_t bytes) noexcept {
        {
            const lock_guard hold(lock_);
            if (void* p = take(bytes)) return p;
        }
        void* base = Backing::allocate(region_bytes, slot_bytes);
        if (!base) return nullptr;
        {
            const lock_guard hold(lock_);
            if (add(static_cast<std::byte*>(base))) return take(bytes);
        }
        Backing::deallocate(base, region_bytes, slot_bytes);
        return nullptr;
    }

    // False if it is in no region.
    bool deallocate_span(std::byte* p, std::size_t bytes) noexcept {
        region* gone = nullptr;
        {
            const lock_guard hold(lock_);
            region* in = find(p);
            if (!in) return false;
            free_slots(*in, p, bytes);
            if (in->free == slots) gone = std::exchange(reserve_, in);
            if (gone) remove(*gone);
        }
        if (gone) return_region(*gone);
        return true;
    }

    // Of 32 MiB of addresses each; a region begins in one of them and may end in the next.
    region*& bucket_of(std::uintptr_t address) noexcept TIDEPOOL_REQUIRES(lock_) {
        return buckets_[address / region_bytes % buckets];
    }

    region* find(const std::byte* p) noexcept TIDEPOOL_REQUIRES(lock_) {
        const auto address = reinterpret_cast<std::uintptr_t>(p);
        for (const std::uintptr_t begins : {address, address - region_bytes})
            for (region* r = bucket_of(begins); r; r = r->bucket_next)
                if (static_cast<std::size_t>(p - r->base) < region_bytes) return r;
        return nullptr;
    }

    static std::uint64_t ones(std::size_t count) noexcept { return ~std::uint64_t{0} >> (word_bits - count); }

    // From the region that opened last, so that the others have time to become all free.
    void* take(std::size_t bytes) noexcept TIDEPOOL_REQUIRES(lock_) {
        const std::size_t count = bytes / slot_bytes, step = std::bit_ceil(count);
        for (region* r = open_.first(); r; r = open_.after(*r)) {
            if (r->free < count) continue;
            for (std::size_t w = 0; w < r->used.size(); ++w)
                for (std::size_t at = 0; r->used[w] != ~std::uint64_t{0} && at + count <= word_bits; at += step) {
                    if (r->used[w] & ones(count) << at) continue;
                    r->used[w] |= ones(count) << at;
                    r->free -= count;
                    if (r == reserve_) reserve_ = nullptr;
                    if (r->free == 0) open_.remove(*r);
                    return r->base + (w * word_bits + at) * slot_bytes;
                }
        }
        return nullptr;
    }

    void free_slots(region& in, const std::byte* p, std::size_t bytes) noexcept TIDEPOOL_REQUIRES(lock_) {
        const auto slot = static_cast<std::size_t>(p - in.base) / slot_bytes;
        const std::size_t count = bytes / slot_bytes;
        in.used[slot / word_bits] &= ~(ones(count) << slot % word_bits);
        if (in.free == 0) open_.push_front(in);
        in.free += count;
    }

    bool add(std::byte* base) noexcept TIDEPOOL_REQUIRES(lock_) {
        region* r = unused_;
        if (r)
            unused_ = r->bucket_next;
        else if (!(r = records_.make<region>(0)))
            return false;
        region*& bucket = bucket_of(reinterpret_cast<std::uintptr_t>(base));
        *r = {.base = base, .free = slots, .bucket_next = bucket, .open_links = {}, .used = {}};
        bucket = r;
        open_.push_front(*r);
        return true;
    }

    void remove(region& gone) noexcept TIDEPOOL_REQUIRES(lock_) {
        open_.remove(gone);
        region** link = &bucket_of(reinterpret_cast<std::uintptr_t>(gone.base));
        while (*link != &gone) link = &(*link)->bucket_next;
        *link = gone.bucket_next;
    }

    // Nobody else has the record meanwhile.
    void return_region(region& gone) noexcept TIDEPOOL_EXCLUDES(lock_) {
        Backing::deallocate(gone.base, region_bytes, slot_bytes);
        const lock_guard hold(lock_);
        gone.bucket_next = unused_;
        unused_ = &gone;
    }

    spin_lock lock_{lock_rank::span_regions};
    std::array<region*, buckets> buckets_ TIDEPOOL_GUARDED_BY(lock_){};
    linked_list<region, &region::open_links> open_ TIDEPOOL_GUARDED_BY(lock_);  // with room, the last opened first
    region* reserve_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;
    region* unused_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;
    arena records_{lock_rank::region_records};
};

// Keeps a process's `Regions`, a variable of type immortal<span_regions<…>>, whole in forked children. To be called
// while the program is loaded, when nobody forks.
template <auto& Regions>
int survive_forks() noexcept {
    constexpr auto after = [] { Regions.it.after_fork(); };
    return ::pthread_atfork([] { Regions.it.before_fork(); }, after, after);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

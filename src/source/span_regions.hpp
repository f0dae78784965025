// An upstream whose spans are cut from regions, blocks of up to 32 MiB from the operating system or another allocator.
//
// The operating system allows a process some 65 000 mappings, and a span that is unmapped in the midst of others leaves
// one more; mmap, threads and large blocks fail when there are too many. So a freed span is only emptied, and its
// address space stays reserved until the region is all free.
//
// Other allocators would keep something of each span for themselves. mimalloc 2 links a freed block through its first
// bytes until the thread that allocated it runs again: a page for each span as long as that thread sleeps. Of a block
// above 16 MiB, such as a region, it keeps nothing. And most threads that use a pool need no heap or cache of the
// allocator's own.
//
// Who uses it: pages_upstream(), the adapters to such allocators, and the malloc shim over either. All members are
// thread-safe. The lock is not held across a call to the allocator, whose heartbeat may call back.
//
// Complexity: linear in the regions that have room; a few words of each are read. A span serves four blocks or more,
// usually dozens, and idle ones wait in idle_spans.hpp, so the lock is not taken for every block.
//
// Invariants, under the lock:
//  1. Each region is in the bucket of its base; `open_` links exactly those with a free slot.
//  2. At most one region is all free: the reserve, for a program that swings around the end of a region.
//  3. `mapped_` is the sum of the regions' bytes.
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
#include "source/region.hpp"

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

// A Backing whose blocks are mappings: all that is deallocated leaves the process at once.
template <class Backing>
concept maps_pages = Backing::maps_pages;

// Backing: the allocator, as a class with static members `void* allocate(bytes, alignment)`, null if there is no
// memory; `deallocate(p, bytes, alignment)`; `purge()`, which returns idle memory to the operating system; and
// `name()`.
//
// Over an allocator every region has 32 MiB. Mapped ones double with what there is already, so that small programs
// reserve little; where address space is short, smaller ones are tried.
template <class Backing>
class span_regions {
public:
    static constexpr std::size_t slot_bytes = region::slot_bytes;
    static constexpr std::size_t region_bytes_max = region::bytes_max;
    static constexpr std::size_t region_bytes_min = maps_pages<Backing> ? std::size_t{512} << 10 : region_bytes_max;
    static constexpr std::size_t span_bytes_max = region::span_bytes_max;

    static constexpr bool is_span(std::size_t bytes, std::size_t alignment) noexcept {
        return alignment == slot_bytes && bytes % slot_bytes == 0 && bytes - 1 < span_bytes_max;
    }

    // As an upstream. Blocks that are not spans come from the allocator itself, and so does a span when there is no
    // memory for a region. The reserve goes before a request fails.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        do {
            if (is_span(bytes, alignment))
                if (void* p = allocate_span(bytes)) return p;
            if (void* p = Backing::allocate(bytes, alignment)) return p;
        } while (return_reserve());
        return nullptr;
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        if (!is_span(bytes, alignment)) return Backing::deallocate(p, bytes, alignment);
        if constexpr (maps_pages<Backing>) empty_pages(p, bytes);  // first: freed slots may be another thread's next
        if (!deallocate_span(static_cast<std::byte*>(p), bytes)) Backing::deallocate(p, bytes, alignment);
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
        return_reserve();
        Backing::purge();
    }
    static void discard(void* p, std::size_t bytes) noexcept requires(!maps_pages<Backing>) { empty_pages(p, bytes); }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return Backing::name(); }

    // Spans from regions and no others, of whole slots up to span_bytes_max. Null if there is no memory for a region.
    void* take(std::size_t bytes) noexcept {
        void* p = allocate_span(bytes);
        return p || !return_reserve() ? p : allocate_span(bytes);
    }
    bool holds(const void* p) noexcept {
        const lock_guard hold(lock_);
        return find(static_cast<const std::byte*>(p));
    }

    // Ends the program where an invariant does not hold. Linear in the regions.
    void check() noexcept {
        const lock_guard hold(lock_);
        if (!open_.whole()) fatal("the list of regions with room is broken");
        std::size_t with_room = 0, all_free = 0, mapped = 0;
        for (const region* r = open_.first(); r; r = open_.after(*r)) ++with_room;
        for (std::size_t i = 0; i < buckets; ++i)
            for (const region* r = buckets_[i]; r; r = r->bucket_next) {
                r->check();
                if (r->all_free() && r != reserve_) fatal("a region is all free and is not the reserve");
                if (&bucket_of(reinterpret_cast<std::uintptr_t>(r->base)) != &buckets_[i])
                    fatal("the region at %p is in the wrong bucket", static_cast<void*>(r->base));
                all_free += r->all_free();
                with_room -= r->free > 0;
                mapped += r->bytes;
            }
        if (mapped != mapped_) fatal("regions have %zu bytes and %zu are counted", mapped, mapped_);
        if (with_room != 0) fatal("the list of regions with room does not have exactly those");
        if (all_free != (reserve_ != nullptr)) fatal("the reserve is not all free");
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    friend struct test_peer<span_regions>;

    static constexpr std::size_t buckets = 2048;
    // What the kernel may back by a huge page.
    static constexpr std::size_t region_alignment_max = maps_pages<Backing> ? std::size_t{2} << 20 : slot_bytes;

    static constexpr std::size_t alignment_of(std::size_t region_bytes) noexcept {
        return std::min(region_bytes, region_alignment_max);
    }

    // Null if there is no memory for a region.
    void* allocate_span(std::size_t bytes) noexcept {
        std::size_t wanted;
        {
            const lock_guard hold(lock_);
            if (void* p = take_from_open(bytes)) return p;
            wanted = std::clamp(std::bit_floor(mapped_), region_bytes_min, region_bytes_max);
        }
        const std::size_t least = std::max(region_bytes_min, std::bit_ceil(bytes));
        for (wanted = std::max(wanted, least); wanted >= least; wanted /= 2) {
            void* base = Backing::allocate(wanted, alignment_of(wanted));
            if (!base) continue;
            {
                const lock_guard hold(lock_);
                if (add(static_cast<std::byte*>(base), wanted)) return take_from_open(bytes);
            }
            Backing::deallocate(base, wanted, alignment_of(wanted));
            break;
        }
        return nullptr;
    }

    // False if it is in no region.
    bool deallocate_span(std::byte* p, std::size_t bytes) noexcept {
        region* gone = nullptr;
        {
            const lock_guard hold(lock_);
            region* in = find(p);
            if (!in) return false;
            if (in->free == 0) open_.push_front(*in);
            in->give(p, bytes);
            if (in->all_free()) gone = std::exchange(reserve_, in);
            if (gone) remove(*gone);
        }
        if (gone) return_region(*gone);
        return true;
    }

    // False if there is none.
    bool return_reserve() noexcept {
        region* gone;
        {
            const lock_guard hold(lock_);
            gone = std::exchange(reserve_, nullptr);
            if (gone) remove(*gone);
        }
        if (gone) return_region(*gone);
        return gone;
    }

    // Of 32 MiB of addresses each; a region begins in one of them and may end in the next.
    region*& bucket_of(std::uintptr_t address) noexcept TIDEPOOL_REQUIRES(lock_) {
        return buckets_[address / region_bytes_max % buckets];
    }

    region* find(const std::byte* p) noexcept TIDEPOOL_REQUIRES(lock_) {
        const auto address = reinterpret_cast<std::uintptr_t>(p);
        for (const std::uintptr_t begins : {address, address - region_bytes_max})
            for (region* r = bucket_of(begins); r; r = r->bucket_next)
                if (r->holds(p)) return r;
        return nullptr;
    }

    // From the region that opened last, so that the others have time to become all free.
    void* take_from_open(std::size_t bytes) noexcept TIDEPOOL_REQUIRES(lock_) {
        for (region* r = open_.first(); r; r = open_.after(*r))
            if (void* p = r->take(bytes)) {
                if (r == reserve_) reserve_ = nullptr;
                if (r->free == 0) open_.remove(*r);
                return p;
            }
        return nullptr;
    }

    // False if there is no memory for its record.
    bool add(std::byte* base, std::size_t bytes) noexcept TIDEPOOL_REQUIRES(lock_) {
        region* r = unused_;
        if (r)
            unused_ = r->bucket_next;
        else if (!(r = records_.make<region>(0)))
            return false;
        region*& bucket = bucket_of(reinterpret_cast<std::uintptr_t>(base));
        *r = region::of(base, bytes);
        r->bucket_next = bucket;
        bucket = r;
        open_.push_front(*r);
        mapped_ += bytes;
        return true;
    }

    void remove(region& gone) noexcept TIDEPOOL_REQUIRES(lock_) {
        open_.remove(gone);
        mapped_ -= gone.bytes;
        region** link = &bucket_of(reinterpret_cast<std::uintptr_t>(gone.base));
        while (*link != &gone) link = &(*link)->bucket_next;
        *link = gone.bucket_next;
    }

    // Nobody else has the record meanwhile.
    void return_region(region& gone) noexcept TIDEPOOL_EXCLUDES(lock_) {
        Backing::deallocate(gone.base, gone.bytes, alignment_of(gone.bytes));
        const lock_guard hold(lock_);
        gone.bucket_next = unused_;
        unused_ = &gone;
    }

    spin_lock lock_{lock_rank::span_regions};
    std::array<region*, buckets> buckets_ TIDEPOOL_GUARDED_BY(lock_){};
    linked_list<region, &region::open_links> open_ TIDEPOOL_GUARDED_BY(lock_);  // with room, the last opened first
    region* reserve_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;
    region* unused_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;
    std::size_t mapped_ TIDEPOOL_GUARDED_BY(lock_) = 0;
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

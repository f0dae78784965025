// An upstream whose spans are cut from regions, blocks of up to 32 MiB from the operating system or another allocator.
// Large blocks of the malloc shim lie between them.
//
// The operating system allows a process some 65 000 mappings, and a span that is unmapped in the midst of others leaves
// one more; mmap, threads and large blocks fail when there are too many. So what is freed is only emptied, and its
// address space stays reserved until the region is all free.
//
// Other allocators would keep something of each span for themselves. mimalloc 2 links a freed block through its first
// bytes until the thread that allocated it runs again: a page for each span as long as that thread sleeps. Of a block
// above 16 MiB, such as a region, it keeps nothing. And most threads that use a pool need no heap or cache of the
// allocator's own.
//
// Freed pages are idle, until two calls of age() have come, or expired. Idle and expired ones serve the next request
// without a page fault. Expired ones return to the operating system a neighbourhood at a time: one call empties all
// that lie side by side, or with empty pages between them. A span that is deallocated is old already, and expires at
// once; when some MiB have, they leave, and all at purge().
//
// Who uses it: pages_upstream(), the adapters to such allocators, and the malloc shim over either. All members are
// thread-safe. Neither lock is held across a call to the allocator, whose heartbeat may call back.
//
// A span serves four blocks or more, usually dozens, and idle ones wait in idle_spans.hpp, so the lock is not taken for
// every block.
//
// Invariant: pages that are being emptied count as used meanwhile, and the thread that empties them holds `emptying_`.
// So nobody takes them, and a forked child finds none.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/immortal.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/spin_lock.hpp"
#include "base/test_peer.hpp"
#include "base/thread_safety.hpp"
#include "source/region.hpp"
#include "source/region_set.hpp"

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
    // memory for a region. All that is idle goes before a request fails.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        do {
            if (is_span(bytes, alignment))
                if (void* p = find_room(bytes, true, nullptr)) return p;
            if (void* p = Backing::allocate(bytes, alignment)) return p;
        } while (release_idle());
        return nullptr;
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        if (!is_span(bytes, alignment)) return Backing::deallocate(p, bytes, alignment);
        if (!give(p, bytes, region::as::expired)) return Backing::deallocate(p, bytes, alignment);
        return_gathered();
    }
    static std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                      std::size_t count) noexcept requires allocates_batches<Backing> {
        return Backing::allocate_batch(bytes, alignment, out, count);
    }
    static std::size_t good_size(std::size_t bytes) noexcept requires knows_good_sizes<Backing> {
        return Backing::good_size(bytes);
    }
    // What has expired first.
    void purge() noexcept {
        return_expired(static_cast<std::size_t>(-1));
        return_reserve();
        Backing::purge();
    }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return Backing::name(); }

    // A large block: whole pages of a region, up to span_bytes_max bytes, aligned to slot_bytes at most. Null if there
    // is no memory for a region. `with`: is told which of its pages may hold anything but zeroes.
    void* take(std::size_t bytes, std::size_t alignment, region::stained* with = nullptr) noexcept {
        do {
            if (void* p = find_room(bytes, alignment > std::size_t{1} << region::page_bits_min, with)) return p;
        } while (release_idle());
        return nullptr;
    }
    // Frees such a block, or a span. False if it is in no region.
    bool give(void* p, std::size_t bytes, region::as what) noexcept {
        const lock_guard hold(lock_);
        return regions_.give(p, bytes, what);
    }
    // Gives a large block another size where it is. False if what lies behind it is in use.
    bool resize(void* p, std::size_t had, std::size_t bytes) noexcept {
        const lock_guard hold(lock_);
        return regions_.resize(p, had, bytes);
    }
    bool holds(const void* p) noexcept {
        const lock_guard hold(lock_);
        return regions_.holds(p);
    }

    // A tick: what was idle at the last one expires. `all`: whatever is idle.
    void age(bool all = false) noexcept {
        const lock_guard hold(lock_);
        regions_.age(all);
    }
    // At least so many idle bytes expire, or all: those where a request would come last.
    void expire(std::size_t bytes) noexcept {
        const lock_guard hold(lock_);
        regions_.expire(bytes);
    }
    // Returns expired pages to the operating system until `bytes` have gone.
    void return_expired(std::size_t bytes) noexcept {
        for (std::size_t gone = 0; gone < bytes;) {
            const std::size_t now = return_neighbourhood();
            if (now == 0) return;
            gone += now;
        }
    }
    // The same as soon as some MiB have expired, so that one call empties many.
    void return_gathered() noexcept {
        if (expired() > gathered_bytes_max) return_expired(gathered_bytes_max / 2);
    }
    // Returns all that is not in use. Whether there was any.
    bool release_idle() noexcept {
        age(true);
        const bool any = expired() > 0;
        return_expired(static_cast<std::size_t>(-1));
        return return_reserve() || any;
    }

    // Bytes. Without the lock, as the set allows.
    std::size_t idle() const noexcept TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS { return regions_.idle(); }
    std::size_t expired() const noexcept TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS { return regions_.expired(); }

    // Ends the program where an invariant does not hold. Linear in the regions.
    void check() noexcept {
        const lock_guard hold(lock_);
        regions_.check();
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept {
        emptying_.lock_for_fork();
        lock_.lock_for_fork();
    }
    void after_fork() noexcept {
        lock_.unlock_after_fork();
        emptying_.unlock_after_fork();
    }

private:
    friend struct test_peer<span_regions>;

    // Expired bytes that are gathered before some are returned, and how many one call empties.
    static constexpr std::size_t gathered_bytes_max = std::size_t{2} << 20;
    static constexpr std::size_t neighbourhood_bytes_max = std::size_t{1} << 20;
    // What the kernel may back by a huge page.
    static constexpr std::size_t region_alignment_max = maps_pages<Backing> ? std::size_t{2} << 20 : slot_bytes;

    static constexpr std::size_t alignment_of(std::size_t region_bytes) noexcept {
        return std::min(region_bytes, region_alignment_max);
    }

    // In a region that is there, or in another. Null if there is no memory for one.
    void* find_room(std::size_t bytes, bool span, region::stained* with) noexcept {
        std::size_t wanted;
        {
            const lock_guard hold(lock_);
            if (void* p = regions_.take(bytes, span, with)) return p;
            wanted = std::clamp(std::bit_floor(regions_.mapped()), region_bytes_min, region_bytes_max);
        }
        const std::size_t least = std::max(region_bytes_min, std::bit_ceil(bytes));
        for (wanted = std::max(wanted, least); wanted >= least; wanted /= 2) {
            void* base = Backing::allocate(wanted, alignment_of(wanted));
            if (!base) continue;
            void* p;
            {
                const lock_guard hold(lock_);
                p = regions_.take(bytes, span, with);  // another thread may have made room meanwhile
                if (!p && regions_.add(base, wanted)) return regions_.take(bytes, span, with);
            }
            Backing::deallocate(base, wanted, alignment_of(wanted));
            return p;
        }
        return nullptr;
    }

    // Empties expired pages that lie together, and returns a region that is empty then. Returns the bytes, 0 if nothing
    // has expired.
    std::size_t return_neighbourhood() noexcept {
        region* gone;
        std::size_t bytes;
        {
            const lock_guard one_at_a_time(emptying_);
            const region_set::claim pages = take_expired();
            if (!pages.in) return 0;
            bytes = pages.bytes();
            // Who takes empty pages relies on zeroes.
            if (!empty_pages(pages.base(), bytes)) std::memset(pages.base(), 0, bytes);
            const lock_guard hold(lock_);
            gone = regions_.give_emptied(pages);
        }
        if (gone) return_region(*gone);
        return bytes;
    }
    region_set::claim take_expired() noexcept {
        const lock_guard hold(lock_);
        return regions_.take_expired(neighbourhood_bytes_max);
    }

    // Whether there was one.
    bool return_reserve() noexcept {
        region* gone = take_reserve();
        if (gone) return_region(*gone);
        return gone;
    }
    region* take_reserve() noexcept {
        const lock_guard hold(lock_);
        return regions_.take_reserve();
    }

    // Nobody else has the record meanwhile.
    void return_region(region& gone) noexcept TIDEPOOL_EXCLUDES(lock_) {
        Backing::deallocate(gone.base, gone.bytes, alignment_of(gone.bytes));
        const lock_guard hold(lock_);
        regions_.retire(gone);
    }

    spin_lock emptying_{lock_rank::emptying};  // held by the one thread that empties pages
    spin_lock lock_{lock_rank::span_regions};
    region_set regions_ TIDEPOOL_GUARDED_BY(lock_);
};

// Keeps a process's `Regions`, a variable of type immortal<span_regions<…>>, whole in forked children. To be called
// while the program is loaded, when nobody forks.
template <auto& Regions>
int survive_forks() noexcept {
    constexpr auto after = [] { Regions.it.after_fork(); };
    constexpr auto before = [] {
        lock_order::begin_fork_series();
        Regions.it.before_fork();
    };
    return ::pthread_atfork(before, after, after);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

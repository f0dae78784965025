// What all threads share of one size class, and of all classes together. Any thread.
//
// Invariants:
//  1. Until set_up() nothing is mapped. After it the depots are there for as long as the pool lives.
//  2. A hint's bit is set where a local of that number has a magazine of that generation (src/cache/hint.hpp).
//  3. The bytes that are lent are those that the locals have borrowed (local.hpp), or more while one borrows or repays.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/arena.hpp"
#include "base/block_sizes.hpp"
#include "cache/hint.hpp"
#include "cache/magazine_slabs.hpp"
#include "cache/magazines.hpp"
#include "cache/outgoing.hpp"
#include "clock/look_pace.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

enum class generation { young, old };  // old: the victim

// How much the cache may hold.
struct cache_limits {
    std::size_t blocks_per_magazine_max;
    std::size_t magazine_bytes_max;
    std::size_t blocks_per_magazine_min = 1;                       // ... and yet so many
    std::size_t local_bytes_max;                                   // in a local's chains, and beyond that
    std::size_t depot_bytes_max = 0;                               // ... in those of all locals
    std::size_t private_bytes_max = static_cast<std::size_t>(-1);  // in a local's private magazines, were all full
    // What was freed is not taken again before it is the victim, or has gone down and comes from the source again. The
    // spare magazine takes what is freed; what is taken comes from the loaded one.
    bool quarantine = false;
};

struct depot {
    static constexpr std::uint32_t chain_slots_max = 1U << 20;  // of the largest ring, which grows as it must

    // Read by every miss, written on a change only.
    alignas(apart) hint young;
    hint old;
    std::size_t block_bytes = 0;       // fixed
    std::uint32_t magazine_bytes = 0;  // of blocks, in a full magazine; fixed
    std::uint32_t refill_first = 0;    // blocks of a local's first refill; fixed

    // Written once a magazine.
    alignas(apart) magazine_stock stock;

    hint& hint_of(generation g) noexcept { return g == generation::young ? young : old; }
};

// The depots of one pool, the memory of its records and magazines, and what is on its way down.
class depots {
public:
    // `looks`: how far apart the looks of a bin at the clock shall be (src/clock/look_pace.hpp).
    depots(block_sizes its_sizes, const cache_limits& its_limits, look_pace::time looks) noexcept
        : sizes(its_sizes), limits(its_limits), looks_apart(looks) {}

    const block_sizes sizes;
    const cache_limits limits;
    const look_pace::time looks_apart;
    arena records;
    magazine_slabs slabs;
    outgoing leaving;

    bool ready() const noexcept { return depots_.load(std::memory_order_acquire); }  // partner: set_up()

    // False when there is no memory. One thread at a time. `alone`: nobody can look into a running thread's local, so
    // magazines are small.
    bool set_up(bool alone) noexcept {
        void* place = records.allocate(sizes.count * sizeof(depot), alignof(depot));
        if (!place) return false;
        auto* made = static_cast<depot*>(place);
        for (std::uint32_t c = 0; c < sizes.count; ++c) set_up(*::new (made + c) depot, c, alone);
        depots_.store(made, std::memory_order_release);  // the depots, for all who find them here
        return true;
    }

    // Needs ready(), found by this thread before. Relaxed for that reason.
    depot& operator[](std::uint32_t size_class) noexcept { return depots_.load(std::memory_order_relaxed)[size_class]; }

    // An empty magazine of a class, or null when there is no memory for one.
    magazine* take_empty(std::uint32_t size_class) noexcept { return (*this)[size_class].stock.take(slabs); }
    // Needs: it is empty, and nobody else has it.
    void put_empty(magazine* m) noexcept { (*this)[m->size_class()].stock.put(m); }

    // Room in the chains of a local beyond its share; false when all have borrowed as much as they may. The depot is an
    // account, not a place: what lies on it stays with the thread that freed it, whose caches have it, and is anybody's
    // to steal. Relaxed: a bound.
    bool lend(std::uint64_t bytes, std::uint64_t bytes_max) noexcept {
        if (lent() + bytes > bytes_max) return false;
        if (lent_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max) return true;
        repay(bytes);
        return false;
    }
    // Release: after the local has noted it, whoever looks at a local that was left in between (local::repay()).
    void repay(std::uint64_t bytes) noexcept { lent_bytes_.fetch_sub(bytes, std::memory_order_release); }
    std::uint64_t lent() const noexcept { return lent_bytes_.load(std::memory_order_relaxed); }

    // Magazines that nobody needs leave the process: the empties of all classes at once, because a slab has magazines
    // of several. Who wants one meanwhile makes a new one. One thread at a time.
    void release_empties() noexcept {
        magazine_list idle;
        for (std::uint32_t c = 0; c < sizes.count; ++c)
            for (magazine *m = (*this)[c].stock.take_all(), *next; m; m = next) {
                next = m->next;
                idle.push(m);
            }
        slabs.release(idle.take_all(), [this](magazine* m) { put_empty(m); });
    }

    // Ends the program where an invariant of what is shared does not hold. Needs ready(). Linear in the magazines.
    void check() noexcept {
        records.check();
        slabs.check();
        for (std::uint32_t c = 0; c < sizes.count; ++c) (*this)[c].stock.check();
        leaving.check();
    }

    // Around a fork, by the forking thread. `records` comes last: the others allocate under their locks.
    void before_fork() noexcept {
        leaving.before_fork();
        if (ready())
            for (std::uint32_t c = 0; c < sizes.count; ++c) (*this)[c].stock.before_fork();
    }
    void after_fork() noexcept {
        if (ready())
            for (std::uint32_t c = 0; c < sizes.count; ++c) (*this)[c].stock.after_fork();
        leaving.after_fork();
    }

private:
    static constexpr std::uint32_t refill_first = 16;  // blocks; doubles with each refill up to a magazine
    static constexpr unsigned alone_divisor = 8;  // magazines are that much smaller where nobody can look into them

    void set_up(depot& d, std::uint32_t size_class, bool alone) noexcept {
        d.block_bytes = sizes[size_class];
        std::size_t capacity = std::min(limits.magazine_bytes_max / d.block_bytes, limits.blocks_per_magazine_max);
        capacity = std::max(alone ? capacity / alone_divisor : capacity, limits.blocks_per_magazine_min);
        d.stock.set_up(size_class, static_cast<std::uint32_t>(capacity));
        d.magazine_bytes = static_cast<std::uint32_t>(capacity * d.block_bytes);
        d.refill_first = std::min(refill_first, static_cast<std::uint32_t>(capacity));
    }

    std::atomic<depot*> depots_{nullptr};  // one a class; written once, by set_up()
    alignas(apart) std::atomic<std::uint64_t> lent_bytes_{0};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

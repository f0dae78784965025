// The slow half of a local: for each size class the spare magazine, the two generations of chains, and the counters.
//
// Who may do what: "owner" is the thread whose slot the local hangs from, when inside, or a visitor that keeps the
// owner out (src/base/handshake.hpp), or the exiting owner. Any thread may take from the tails of the chains.
//
// Invariants, for each size class, with the owner's eyes:
//  1. `loaded` is no_magazine or a magazine of the class; `spare` is null or a magazine of the class.
//  2. chains[young] holds magazines that were put there since the last tick, chains[1 - young] (the victim) those put
//     there before it and since the tick before that. Stock of an older age is nowhere.
//  3. blocks in the chains = chained_blocks - stolen_blocks, and the same in bytes over all classes; once no thief is
//     between its pop and its count.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/arena.hpp"
#include "base/counters.hpp"
#include "cache/chain.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

struct alignas(apart) cache_bin {
    // Read by thieves on a probe; written by them when they take, by the owner when a ring is added or at a tick.
    std::array<chain<magazine>, 2> chains;
    std::atomic<std::uint64_t> stolen_blocks{0};  // thieves
    std::atomic<std::uint16_t> young{0};          // which chain is the primary one; owner

    // The owner's.
    std::uint16_t refill_next = 0;     // blocks to ask for at the next refill; 0 before the first
    std::uint32_t magazine_bytes = 0;  // of blocks, in a full one; fixed
    magazine* spare = nullptr;
    counter chained_blocks;
    counter hits_private, hits_chain, hits_steal, hits_victim, misses, refills, spills, spilled_blocks;

    // Sequentially consistent: a thief that looks again after hint::lower() must see a flip whose raise() it has
    // missed.
    chain<magazine>& young_chain() noexcept { return chains[young.load(std::memory_order_seq_cst)]; }
    chain<magazine>& victim() noexcept { return chains[1 - young.load(std::memory_order_seq_cst)]; }
    // Owner.
    void flip() noexcept { young.store(young.load(std::memory_order_relaxed) ^ 1, std::memory_order_seq_cst); }
};
// A thread has one of each class for as long as the process lives, so it should not be larger than it must.
static_assert(sizeof(cache_bin) == apart);

struct alignas(apart) local {
    // The owner's, but for what is fixed.
    local_head* const front;           // fixed
    pin_slot* const its_pin_slot;      // in the owner's table, or `own_pin_slot`; fixed
    pin_slot own_pin_slot;             // for pools that came too late for a place in the table
    const std::uint32_t number;        // dense within the pool; fixed
    std::uint32_t exchanges = 0;       // magazine exchanges so far
    std::atomic<std::uint64_t> epoch;  // the tick that this local was rotated for last; read by visitors too
    counter chained_bytes;
    std::uint64_t private_bytes = 0;  // of blocks, were all private magazines full; owner
    std::uint32_t shed_next = 0;      // size class; owner
    std::uint32_t classes = 0;        // classes from here on have never had a magazine; owner

    // Thieves write this.
    alignas(apart) std::atomic<std::uint64_t> stolen_bytes{0};

    // `in_table` may be null.
    local(local_head* head, pin_slot* in_table, std::uint32_t its_number, std::uint64_t now) noexcept
        : front(head),
          its_pin_slot(in_table ? in_table : &own_pin_slot),
          own_pin_slot(*head),
          number(its_number),
          epoch(now) {}

    bool occupied() const noexcept { return its_pin_slot->occupied(*front); }

    magazine*& loaded(std::uint32_t size_class) noexcept { return front->own()[size_class]; }
    // The array stands right behind.
    cache_bin& cache_bin_of(std::uint32_t size_class) noexcept {
        return reinterpret_cast<cache_bin*>(this + 1)[size_class];
    }

    // Bytes in all chains; off by what is just coming and going. Any thread. Relaxed: a bound, not a book.
    std::uint64_t bytes_chained() const noexcept {
        const std::uint64_t stolen = stolen_bytes.load(std::memory_order_relaxed), chained = chained_bytes.get();
        return chained > stolen ? chained - stolen : 0;
    }

    // Owner: a private magazine of the rack comes, or goes.
    magazine* account_in(cache_bin& r, magazine* m) noexcept {
        private_bytes += r.magazine_bytes;
        return m;
    }
    magazine* account_out(cache_bin& r, magazine* m) noexcept {
        private_bytes -= r.magazine_bytes;
        return m;
    }

    // Owner: as the function of chain, with the books kept. Needs m not empty.
    bool push(magazine* m, std::size_t block_bytes, arena& rings, std::uint32_t size_max) noexcept {
        cache_bin& r = cache_bin_of(m->size_class());
        const std::size_t count = m->count();  // once pushed, a thief may have it
        if (!r.young_chain().push_head(m, rings, size_max)) return false;
        r.chained_blocks.add(count);
        chained_bytes.add(count * block_bytes);
        return true;
    }

    // Owner: the books after a pop of its own.
    magazine* taken(magazine* m, std::size_t block_bytes) noexcept {
        if (m) {
            cache_bin_of(m->size_class()).chained_blocks.subtract(m->count());
            chained_bytes.subtract(m->count() * block_bytes);
        }
        return m;
    }

    // Any thread: the books after a pop from the tail. Relaxed: sums, read when all is still.
    magazine* stolen(magazine* m, std::size_t block_bytes) noexcept {
        if (m) {
            cache_bin_of(m->size_class()).stolen_blocks.fetch_add(m->count(), std::memory_order_relaxed);
            stolen_bytes.fetch_add(m->count() * block_bytes, std::memory_order_relaxed);
        }
        return m;
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

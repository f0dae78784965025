// The slow half of a local: for each size class the spare magazine, the two generations of chains, and the counters.
//
// Who may do what: the owner's part is reached through a bin (src/cache/bin.hpp), and only a pin yields one. Any thread
// may take from the tails of the chains and read what is counted.
//
// Invariants, for each size class, whenever the local is pinned:
//  1. The loaded magazine and the spare are of the class, where there are any. What the loaded one holds says its
//  hot_bin.
//  2. chains[young] holds magazines that were put there since the last tick, chains[1 - young] (the victim) those put
//  there
//     before it and since the tick before that. Stock of an older age is nowhere.
//  3. Blocks in the chains = chained_blocks - stolen_blocks, and the same in bytes over all classes; once no thief is
//  between
//     its pop and its count.
//  4. private_bytes is what the private magazines of all classes would hold if they were full.
//  5. borrowed_bytes is what the depot has lent for the chains beyond the local's share.
//  6. Classes from `classes` on have never had a magazine.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/counters.hpp"
#include "base/test_peer.hpp"
#include "cache/chain.hpp"
#include "cache/depot.hpp"
#include "clock/look_pace.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/magazine.hpp>
#include <tidepool/detail/pin_slot.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Written by the owner, read by any thread.
struct bin_counters {
    counter hits_private, hits_chain, hits_steal, hits_victim, misses, refills, spills;
};

struct alignas(apart) cache_bin {
    // Read by thieves on a probe; written by them when they take, by the owner when a ring is added or at a tick.
    std::array<chain<magazine>, 2> chains;
    std::atomic<std::uint64_t> stolen_blocks{0};  // thieves
    // Magazines of the young chain that thieves may take: the fewest that it held since the last tick, less those
    // taken. What lies above them its owner is using (Bonwick's working set). all_surplus: the owner has taken none
    // back.
    static constexpr std::uint16_t all_surplus = 0xFFFF;
    std::atomic<std::uint16_t> surplus{all_surplus};  // owner and thieves
    std::atomic<std::uint8_t> young{0};               // which chain is the primary one; owner

    // The owner's.
    std::uint8_t refill_log2 = 0;  // of the blocks to ask for at the next refill; 0 before the first
    look_pace pace;
    magazine* spare = nullptr;
    magazine_list empties;  // of magazines that came back from the own chain: the next ones to fill
    counter chained_blocks;
    bin_counters counted;

    // Sequentially consistent: a thief that looks again after hint::lower() must see a flip whose raise() it has
    // missed.
    chain<magazine>& chain_of(generation g) noexcept {
        return chains[young.load(std::memory_order_seq_cst) ^ (g == generation::old)];
    }
    // Owner.
    void flip() noexcept {
        young.store(young.load(std::memory_order_relaxed) ^ 1, std::memory_order_seq_cst);
        surplus.store(all_surplus, std::memory_order_relaxed);  // of the chain that is young now and empty
    }
};
// A thread has one of each class for as long as the process lives, so it should not be larger than it must.
static_assert(sizeof(cache_bin) == apart);

class alignas(apart) local {
public:
    // `in_table` may be null. Needs one cache_bin for each class right behind it.
    local(depots& shared, local_head* its_head, pin_slot* in_table, std::uint32_t its_number,
          std::uint64_t now) noexcept
        : head(its_head),
          slot(in_table ? in_table : &own_slot_),
          number(its_number),
          epoch_(now),
          shared_(shared),
          own_slot_(*its_head) {
        for (std::uint32_t c = 0; c < shared.sizes.count; ++c) ::new (&bin_at(c)) cache_bin;
    }
    static std::size_t bytes_behind(const depots& shared) noexcept { return shared.sizes.count * sizeof(cache_bin); }

    local_head* const head;      // fixed
    pin_slot* const slot;        // in the owner's table, or one of our own; fixed
    const std::uint32_t number;  // dense within the pool; fixed
    bool abandoned = false;      // its owner was lost inside, in a fork or a signal handler; written by who visits
    bool kept_out = false;       // the fork under way has seen its owner outside; the forking thread's
    bool late = false;           // ... and the fork before has waited for it in vain; the same

    bool occupied() const noexcept { return slot->occupied(*head); }

    // The tick that this local was rotated for last. An epoch that is just changing is seen at the next look. Acquire:
    // who sees it finds in `leaving` what the rotation sent there; partner: pin::catch_up().
    std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }

    const bin_counters& counted(std::uint32_t size_class) noexcept { return bin_at(size_class).counted; }

    // Bytes in all chains; off by what is just coming and going. Relaxed: a bound, not a book.
    std::uint64_t bytes_chained() const noexcept {
        const std::uint64_t stolen = stolen_bytes_.load(std::memory_order_relaxed), chained = chained_bytes_.get();
        return chained > stolen ? chained - stolen : 0;
    }
    // Blocks in the chains of a class; the same.
    std::uint64_t blocks_chained(std::uint32_t size_class) noexcept {
        const cache_bin& b = bin_at(size_class);
        const std::uint64_t stolen = b.stolen_blocks.load(std::memory_order_relaxed), chained = b.chained_blocks.get();
        return chained > stolen ? chained - stolen : 0;
    }

    // A magazine from a chain's tail, or null. Lock-free. Relaxed: sums, read when nobody is inside.
    magazine* take_tail(std::uint32_t size_class, generation g) noexcept {
        cache_bin& b = bin_at(size_class);
        magazine* m = b.chain_of(g).pop_tail();
        if (m) {
            b.stolen_blocks.fetch_add(m->count(), std::memory_order_relaxed);
            stolen_bytes_.fetch_add(m->count() * shared_[size_class].block_bytes, std::memory_order_relaxed);
        }
        return m;
    }
    // The same for a thread that needs one: of what is young only what is surplus. Relaxed: a policy, off by one at
    // times.
    magazine* steal(std::uint32_t size_class, generation g) noexcept {
        std::atomic<std::uint16_t>& surplus = bin_at(size_class).surplus;
        if (g == generation::old) return take_tail(size_class, g);
        std::uint16_t left = surplus.load(std::memory_order_relaxed);
        magazine* m = left == 0 ? nullptr : take_tail(size_class, g);
        if (m && left != cache_bin::all_surplus)
            surplus.compare_exchange_strong(left, static_cast<std::uint16_t>(left - 1), std::memory_order_relaxed);
        return m;
    }
    // Whether the chains hold more than the local's share.
    bool over_share() const noexcept { return over_share(bytes_chained()) != 0; }
    // Owner, or who keeps it out. Whether the chains may hold `bytes` more: within the local's share and what it has
    // borrowed, or borrows now.
    bool may_chain(std::uint64_t bytes, std::uint64_t depot_bytes_max) noexcept {
        const std::uint64_t over = over_share(bytes_chained() + bytes);
        if (over <= borrowed_bytes_) return true;
        const std::uint64_t more = std::max(over - borrowed_bytes_, borrow_step);
        if (!shared_.lend(more, depot_bytes_max)) return false;
        borrowed_bytes_ += more;
        return true;
    }
    // The same: repays what is not needed any more, but for `keep`. Noted before, since a local may be abandoned
    // between the two, and what it has borrowed is repaid then.
    void repay(std::uint64_t keep = 0) noexcept {
        const std::uint64_t needed = over_share(bytes_chained()) + keep;
        if (borrowed_bytes_ <= needed) return;
        shared_.repay(std::exchange(borrowed_bytes_, needed) - needed);
    }
    // All of it, whatever the chains hold.
    void repay_all() noexcept { shared_.repay(std::exchange(borrowed_bytes_, 0)); }

    bool has(std::uint32_t size_class, generation g) noexcept { return !bin_at(size_class).chain_of(g).empty(); }

    static constexpr std::uint64_t borrow_step = std::uint64_t{64} << 10;  // bytes, at least

private:
    friend class bin;
    friend class pin;
    friend struct test_peer<local>;

    std::uint64_t over_share(std::uint64_t bytes) const noexcept {
        const std::uint64_t share = shared_.limits.local_bytes_max;
        return bytes > share ? bytes - share : 0;
    }

    // The array stands right behind.
    cache_bin& bin_at(std::uint32_t size_class) noexcept { return reinterpret_cast<cache_bin*>(this + 1)[size_class]; }

    // The owner's, but for what is fixed; the first two are read by any thread.
    std::atomic<std::uint64_t> epoch_;
    counter chained_bytes_;
    std::uint64_t private_bytes_ = 0;
    std::uint64_t borrowed_bytes_ = 0;
    look_pace::time looks_shortened_{};
    std::uint32_t exchanges_ = 0;  // magazine exchanges so far
    std::uint32_t shed_next_ = 0;  // size class
    std::uint32_t classes_ = 0;
    depots& shared_;
    pin_slot own_slot_;  // for pools that came too late for a place in the table

    // Thieves write this.
    alignas(apart) std::atomic<std::uint64_t> stolen_bytes_{0};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The pool's traffic with its source, with the books kept. Any thread, unpinned and without a lock, but where it says
// otherwise.
//
// Invariant, for each size class, whenever no thread is inside the pool: given - returned = blocks with the program +
// blocks in magazines. (Blocks that the hardened build finds no memory to watch are missing from the right side.)
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/arena.hpp"
#include "base/counters.hpp"
#include "cache/depot.hpp"
#include "pool/plan.hpp"
#include "source/direct.hpp"
#include "source/ledger.hpp"
#include "source/metered_upstream.hpp"
#include "source/objects.hpp"
#include "source/source.hpp"
#include "source/spans.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/magazine.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class supply {
    // Before the source, which is made of them.
    const block_sizes sizes_;
    depots& shared_;
    // The source lies here and is never destroyed: what it has mapped belongs to the arena.
    union place {
        place() noexcept {}  // NOLINT(modernize-use-equals-default): it would be deleted
        spans from_spans;
        direct from_direct;
        objects from_objects;
    } place_;

public:
    supply(const pool_plan& plan, const tidepool::upstream& from, depots& shared) noexcept;
    supply(const supply&) = delete;
    supply& operator=(const supply&) = delete;

    metered_upstream upstream;
    source& blocks;           // where they come from
    const bool makes_blocks;  // as source::makes_blocks()
    ledger watched;           // of a hardened build

    // Fills out[0 .. result); result < count when memory ran out, or would have to grow too far. Needs the source to be
    // set up.
    std::size_t get(std::uint32_t size_class, void** out, std::size_t count,
                    growth most = growth::beyond_peak) noexcept;
    // One block past the cache, or null. Needs the source to be set up.
    void* get_past_cache(std::uint32_t size_class) noexcept;

    // `stale`: as source::drain().
    void put(std::uint32_t size_class, void** given_back, std::size_t count, bool stale = false) noexcept;
    void put_past_cache(std::uint32_t size_class, void* block) noexcept;
    // The blocks of a magazine that nobody else has, which is empty then.
    void put(magazine* m, bool stale = false) noexcept;

    // An object that was made outside the engine may be put into the pool from now on; it ended outside the engine.
    void created(void* object) noexcept;
    void destroyed(void* object) noexcept;

    // What all locals may borrow: as the limits say, or a part of what the pool has from its source. Relaxed: a bound.
    std::uint64_t depot_bytes_max() const noexcept {
        const std::uint64_t least = shared_.limits.depot_bytes_max;
        return least == 0 ? 0 : std::max(least, held_bytes_.load(std::memory_order_relaxed) / depot_part);
    }

    // Everything is with the source that was ever given. Nobody else may be calling.
    void all_returned() noexcept;

    // Relaxed: sums.
    std::uint64_t given(std::uint32_t size_class) const noexcept {
        return books_[size_class].given.load(std::memory_order_relaxed);
    }
    std::uint64_t returned(std::uint32_t size_class) const noexcept {
        return books_[size_class].returned.load(std::memory_order_relaxed);
    }
    std::uint64_t past_cache() const noexcept { return past_cache_.load(std::memory_order_relaxed); }
    std::uint64_t held_bytes_peak() const noexcept { return held_bytes_peak_.get(); }

private:
    struct book {
        std::atomic<std::uint64_t> given{0};     // blocks that came from the source
        std::atomic<std::uint64_t> returned{0};  // blocks that went back to it
    };

    static constexpr unsigned depot_part = 16;

    void account_in(std::uint32_t size_class, std::size_t count) noexcept;
    void account_out(std::uint32_t size_class, std::size_t count) noexcept;
    source& make_source(const pool_plan& plan) noexcept;

    std::array<book, size_class_count> books_{};
    std::atomic<std::uint64_t> past_cache_{0};
    std::atomic<std::uint64_t> held_bytes_{0};
    peak held_bytes_peak_;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

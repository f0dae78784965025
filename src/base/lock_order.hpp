// All locks of the library in their order: a thread takes one only while it holds none from the same line on. Builds
// that check (config.hpp) end the program at the first lock that is taken out of order, whether or not that deadlocks.
//
// No lock is held across a call to an upstream or to a program's own code, but for the first two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/fatal.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// X(rank, whose it is and what for).
#define TIDEPOOL_LOCKS(X)                                                    \
    X(ticking, "registry: a look at all pools; only ever tried")             \
    X(making, "registry: a pool of which the process has one is being made") \
    X(registry, "registry: the list of all pools")                           \
    X(pool_growing, "pool: what all threads share of it, and new locals")    \
    X(pool_visiting, "pool: one visitor of other threads' locals at a time") \
    X(outgoing, "pool: magazines on their way to the source")                \
    X(stock, "depot: empty magazines of one size class")                     \
    X(large_blocks, "pool: the book of large requests")                      \
    X(ledger, "pool: the hardened build's book of all blocks")               \
    X(span_class, "source: spans of one size class")                         \
    X(idle_spans, "source: spans without a block in use")                    \
    X(magazine_slabs, "pool: the memory of magazines")                       \
    X(pool_records, "pool: the arena of its records")                        \
    X(thread_slots, "process: which thread has which slot")                  \
    X(slot_records, "process: the arena of the slots")                       \
    X(emptying, "adapters, shim: freed pages that are being emptied")        \
    X(span_regions, "adapters, shim: regions that spans are cut from")       \
    X(region_records, "adapters, shim: the arena of the regions' records")   \
    X(shim_book, "shim: blocks of another malloc")                           \
    X(shim_watched, "shim: the hardened build's book of large blocks")

enum class lock_rank : std::uint8_t {
#define TIDEPOOL_LOCK_RANK(rank, purpose) rank,
    TIDEPOOL_LOCKS(TIDEPOOL_LOCK_RANK)
#undef TIDEPOOL_LOCK_RANK
};

// For messages.
inline constexpr auto lock_names = std::to_array<const char*>({
#define TIDEPOOL_LOCK_NAME(rank, purpose) #rank " (" purpose ")",
    TIDEPOOL_LOCKS(TIDEPOOL_LOCK_NAME)
#undef TIDEPOOL_LOCK_NAME
});
#undef TIDEPOOL_LOCKS
static_assert(lock_names.size() <= 32, "lock_order::held has a bit for each");

namespace lock_order {

// What the calling thread holds, a bit a rank. A word, so that a signal handler, which leaves it as it found it, may
// come at any moment.
inline constinit thread_local std::uint32_t held __attribute__((tls_model("initial-exec"))) = 0;
// Of the locks taken around a fork, the rank of the last one.
inline constinit thread_local lock_rank last_for_fork __attribute__((tls_model("initial-exec"))) = lock_rank::ticking;

constexpr std::uint32_t bit(lock_rank rank) noexcept { return std::uint32_t{1} << static_cast<unsigned>(rank); }
constexpr const char* name(lock_rank rank) noexcept { return lock_names[static_cast<std::size_t>(rank)]; }

[[noreturn, gnu::cold]] inline void violated(lock_rank wanted, lock_rank other) noexcept {
    fatal("lock order: %s is taken while %s is held", name(wanted), name(other));
}

// Before a lock is waited for.
inline void check(lock_rank wanted) noexcept {
    if (const std::uint32_t later = held >> static_cast<unsigned>(wanted)) [[unlikely]]
        violated(wanted,
                 static_cast<lock_rank>(static_cast<unsigned>(wanted) + static_cast<unsigned>(__builtin_ctz(later))));
}
inline void acquired(lock_rank rank) noexcept { held = held | bit(rank); }
inline void released(lock_rank rank) noexcept { held = held & ~bit(rank); }

// Around a fork a thread takes every lock there is: of each pool in the order above, those of equal rank one after the
// other. They are released by the child, too, so they are not among `held`.
inline void begin_fork_series() noexcept {
    if constexpr (checked) last_for_fork = lock_rank::ticking;
}
inline void check_for_fork(lock_rank wanted) noexcept {
    check(wanted);
    if (wanted < last_for_fork) violated(wanted, last_for_fork);
    last_for_fork = wanted;
}

// A lock's rank: kept where it is checked.
class ranked {
public:
    constexpr explicit ranked(lock_rank rank) noexcept : rank_(rank) {}

protected:
    void before_lock() const noexcept {
        if constexpr (checked) check(rank_.value);
    }
    void before_lock_for_fork() const noexcept {
        if constexpr (checked) check_for_fork(rank_.value);
    }
    void after_lock() const noexcept {
        if constexpr (checked) acquired(rank_.value);
    }
    void before_unlock() const noexcept {
        if constexpr (checked) released(rank_.value);
    }

private:
    struct kept {
        lock_rank value;
        constexpr explicit kept(lock_rank rank) noexcept : value(rank) {}
    };
    struct dropped {
        static constexpr lock_rank value = lock_rank::ticking;  // nobody asks
        constexpr explicit dropped(lock_rank) noexcept {}
    };
    [[no_unique_address]] std::conditional_t<checked, kept, dropped> rank_;
};

}  // namespace lock_order

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

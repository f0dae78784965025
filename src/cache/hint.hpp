// Which locals may have stock of a size class: a word that saves thieves from asking everyone.
//
// Invariant: a hint errs one way only. A bit may be set where nothing is left; where something is left, the bit is set,
// or its owner is just about to set it.
//
// Proof of lower(): the owner pushes and then reads the bit; the thief clears the bit and then looks at the stock
// again. All four are sequentially consistent, so not both can miss the other: either the owner sees the bit cleared
// and sets it, or the thief sees the push and sets it back.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "base/fatal.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Local number n has bit n % 64; with more than 64 locals a bit stands for several.
class hint {
public:
    static constexpr std::uint32_t width = 64;

    // After stock was added to local `number`. Writes the shared line only where the bit is not set already.
    void raise(std::uint32_t number) noexcept {
        if (bits_.load(std::memory_order_seq_cst) & bit(number)) return;  // after the push has stored its end
        bits_.fetch_or(bit(number), std::memory_order_seq_cst);           // against lower(), which looks again
    }

    // After all locals of `number`'s bit were found empty. `some_left()` looks at all of them again.
    template <class SomeLeft>
    void lower(std::uint32_t number, SomeLeft some_left) noexcept {
        bits_.fetch_and(~bit(number), std::memory_order_seq_cst);                 // before some_left() loads the stock
        if (some_left()) bits_.fetch_or(bit(number), std::memory_order_seq_cst);  // as raise(), whose push it has seen
    }

    // Relaxed: a stale word costs a fruitless probe or a needless refill, nothing else.
    std::uint64_t bits() const noexcept { return bits_.load(std::memory_order_relaxed); }

    // Ends the program where the invariant does not hold. Needs: nobody adds to or takes from local `number` meanwhile,
    // nor lowers its bit.
    void check(std::uint32_t number, bool some_left) const noexcept {
        if (some_left && !(bits() & bit(number))) fatal("local %u has stock and no hint says so", number);
    }

private:
    static constexpr std::uint64_t bit(std::uint32_t number) noexcept { return std::uint64_t{1} << (number % width); }

    std::atomic<std::uint64_t> bits_{0};  // read by all on a miss, written on a change only
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

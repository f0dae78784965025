// Stealing: where to look for a magazine in other threads' locals, and when to stop. Any thread; lock-free.
//
// The order of search starts at a given local and goes round, so that thieves spread instead of all robbing local 0.
// Of those that share a bit it starts in the row of `start`, too, so that a start that changes reaches all of many.
// Only locals whose hint bit is set are asked. A fruitless look at all locals of a bit lowers it, so the next thief
// does not repeat it; that is the only write of a miss. Bound: probes_max locals.
#pragma once

#include <bit>
#include <cstdint>

#include "cache/hint.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

inline constexpr unsigned probes_max = 64;

// take(n): a magazine from local n, or null. some_left(n): whether local n has one. locals(): how many there are; asked
// again for the second look of hint::lower(), since a local that joined meanwhile may have put something under the same
// bit. Sequentially consistent with its change, so that who has seen the bit set before it was lowered is counted.
template <class Locals, class Take, class SomeLeft>
magazine* steal(hint& where, std::uint32_t start, Locals locals, Take take, SomeLeft some_left) noexcept {
    const std::uint64_t bits = where.bits();
    const std::uint32_t first = start % hint::width;
    unsigned probes = 0;
    // A byte, since std::rotr takes an int, but an unsigned in libc++ 16.
    for (std::uint64_t ahead = std::rotr(bits, static_cast<std::uint8_t>(first)); ahead != 0; ahead &= ahead - 1) {
        const std::uint32_t bit = (first + static_cast<std::uint32_t>(std::countr_zero(ahead))) % hint::width;
        const std::uint32_t count = locals();
        const std::uint32_t rows = count > bit ? (count - bit - 1) / hint::width + 1 : 0;
        for (std::uint32_t row = 0; row < rows; ++row) {
            if (probes++ == probes_max) return nullptr;
            if (magazine* m = take(bit + (start / hint::width + row) % rows * hint::width)) return m;
        }
        where.lower(bit, [&] {
            const std::uint32_t count_now = locals();
            for (std::uint32_t n = bit; n < count_now; n += hint::width)
                if (some_left(n)) return true;
            return false;
        });
    }
    return nullptr;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

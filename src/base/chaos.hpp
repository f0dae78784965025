// The chaos build's dice: what Go's race mode does to sync.Pool, so that nobody may rely on a hit. Any thread.
//
// Outside that build chance() is a constant and costs nothing.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// The dice are seeded from the environment variable TIDEPOOL_CHAOS_SEED (1 where it is not set).
// Tests that count exact hits turn the dice off for their time.
void enable_chaos(bool on) noexcept;

bool roll_dice(unsigned one_in) noexcept;

// True once in `one_in` calls, at random; never outside the chaos build.
inline bool chance([[maybe_unused]] unsigned one_in) noexcept {
    if constexpr (chaotic) return roll_dice(one_in);
    return false;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

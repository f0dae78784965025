// How many hits a bin may serve before it looks at the clock: a policy that is handed the time and reads no clock. It
// aims at eight looks a decay interval, whatever the rate of hits. One thread at a time.
//
// It grants what the bin used since its last look, in proportion to the time that should have gone by, and at most four
// times as much. The grant is bounded, because a program may slow down by any factor at any moment and then uses up
// slowly what it was granted at full speed: with 1024 hits, a bin that falls to 400 hits a second looks again
// within 2.5 s. At full speed that is one look in 1024 hits, 0.04 ns a hit where a look takes 40 ns. A bin whose blocks
// are freed by the magazine starts anew with few (bin::shorten_look()), since that is when there is something to
// return.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class look_pace {
public:
    using time = std::chrono::milliseconds;  // since any fixed moment
    static constexpr std::int32_t hits_first = 32, hits_max = 1024, growth = 4;
    static constexpr int looks_per_interval = 8;

    // The hits until the next look, after one at `now` that came after `used` hits. `distance`: how far apart looks
    // shall be; zero: nobody looks for anything.
    std::int32_t next(time now, time distance, std::int32_t used) noexcept {
        const auto at = static_cast<std::uint32_t>(now.count()) & time_mask;
        const std::uint32_t elapsed = (at - word_) & time_mask;
        const bool first = (word_ & begun) == 0;
        word_ = at | begun;
        if (distance == time::zero()) return hits_max;
        if (first) return hits_first;
        std::int64_t hits = std::int64_t{growth} * std::max(used, 1);
        // A clock that went back counts as one that stood still.
        if (elapsed != 0 && elapsed <= time_mask / 2)
            hits = std::min(hits, std::int64_t{used} * distance.count() / std::int64_t{elapsed});
        return static_cast<std::int32_t>(std::clamp<std::int64_t>(hits, 1, hits_max));
    }

private:
    // In one word, because a thread has one for each class. The time wraps in twelve days: a look after that long may
    // be taken to be early, once.
    static constexpr std::uint32_t begun = std::uint32_t{1} << 30, time_mask = begun - 1;
    std::uint32_t word_ = 0;
};
static_assert(sizeof(look_pace) == sizeof(std::uint32_t));

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// How many hits a bin may serve before it looks at the clock: a policy that is handed the time and reads no clock. It
// aims at eight looks a decay interval, whatever the rate of hits. One thread at a time.
//
// The count doubles where looks come at least twice as often, and is halved, as often as need be, where they come too
// seldom. It is bounded, because a program may slow down by any factor at any moment, and what it was granted at full
// speed it then uses up slowly: with 1024 hits a bin that falls from any rate to 400 hits a second looks again
// within 2.5 s. At full speed that is one look in 1024 hits, which is 0.04 ns a hit where a look takes 40 ns.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class look_pace {
public:
    using time = std::chrono::milliseconds;  // since any fixed moment
    static constexpr std::int32_t hits_first = 64, hits_max = 1024;
    static constexpr int looks_per_interval = 8;

    // The hits until the next look, after one at `now`. `distance`: how far apart looks shall be; zero: nobody looks
    // for anything.
    std::int32_t next(time now, time distance) noexcept {
        const auto at = static_cast<std::uint32_t>(now.count()) & time_mask;
        const std::uint32_t elapsed = (at - (word_ >> time_shift)) & time_mask;
        std::uint32_t log2 = word_ & log2_mask;
        if (distance == time::zero())
            log2 = log2_max;
        else if (word_ == 0)
            log2 = log2_first;
        else if (elapsed > time_mask / 2 || time(elapsed) * 2 <= distance)  // one that went back counts as standing
            log2 = std::min(log2 + 1, log2_max);
        else
            log2 -= std::min(log2, static_cast<std::uint32_t>(
                                       std::bit_width(elapsed / static_cast<std::uint32_t>(distance.count()))));
        word_ = at << time_shift | begun | log2;
        return std::int32_t{1} << log2;
    }

private:
    static constexpr std::uint32_t log2_first = 6, log2_max = 10;
    static_assert(hits_first == 1 << log2_first && hits_max == 1 << log2_max);

    // In one word, because a thread has one for each class: the binary logarithm of the hits granted last, whether
    // there were any, and the time of the last look, which wraps in 37 hours: a look is taken to be early or late then,
    // once.
    static constexpr std::uint32_t log2_mask = 15, begun = 16, time_mask = (std::uint32_t{1} << 27) - 1;
    static constexpr unsigned time_shift = 5;
    std::uint32_t word_ = 0;
};
static_assert(sizeof(look_pace) == sizeof(std::uint32_t));

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// How many hits a bin may serve before it looks at the clock: a policy that is handed the time and reads no clock. It
// aims at eight looks a decay interval, whatever the rate of hits. One thread at a time.
//
// It grants what the bin used since its last look, in proportion to the time that should have gone by, and at most four
// times as much as before. A burst proves nothing: while the clock stands still, which is for four milliseconds as a
// rule, the grant stays; only a bin that looked more than once and still looks when the clock moves is granted more for
// it. So a thread that takes a thousand blocks at once and then one each ten milliseconds looks again within 0.3 s.
//
// The grant is bounded, because a program may slow down by any factor at any moment and then uses up slowly what it was
// granted at full speed: with 1024 hits, a bin that falls to 400 hits a second looks again within 2.5 s. At full speed
// that is one look in 1024 hits, 0.04 ns a hit where a look takes 40 ns. A bin whose blocks are freed by the magazine
// is cut to few (bin::shorten_look()), since that is when there is something to return; the next look grants it what it
// was used to.
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
    static constexpr std::int32_t hits_first = 32, hits_max = 1024, growth = 4;
    static constexpr int looks_per_interval = 8;

    // The hits until the next look, after one at `now` that came after `used` hits. `distance`: how far apart looks
    // shall be; zero: nobody looks for anything.
    std::int32_t next(time now, time distance, std::int32_t used) noexcept {
        if (distance == time::zero()) return hits_max;
        const auto at = static_cast<std::uint32_t>(now.count()) & time_mask;
        const std::uint32_t elapsed = (at - time_) & time_mask;
        const std::int32_t usual = hits_first << level_;
        if (!begun_ || elapsed == 0 || elapsed > time_mask / 2) {  // a clock that went back counts as one at rest
            again_ = begun_;
            begun_ = true;
            time_ = at & time_mask;
            return usual;
        }
        std::int64_t hits = std::int64_t{std::max(used, 1)} * distance.count() / std::int64_t{elapsed};
        if (again_ && elapsed <= burst_goes_on) hits = hits_max;
        hits = std::clamp<std::int64_t>(hits, 1, std::min(growth * usual, hits_max));
        const auto level = static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint32_t>(hits / hits_first)));
        level_ = (level == 0 ? 0 : level - 1) & level_mask;
        again_ = false;
        time_ = at & time_mask;
        return static_cast<std::int32_t>(hits);
    }

private:
    static constexpr unsigned time_bits = 27, level_bits = 3;
    static constexpr std::uint32_t time_mask = (1U << time_bits) - 1, level_mask = (1U << level_bits) - 1;
    static constexpr std::uint32_t burst_goes_on = 8;  // milliseconds: two steps of a coarse clock

    // In one word, because a thread has one for each class. The time wraps in 37 hours: a look after that long may be
    // taken to be early, once.
    std::uint32_t time_ : time_bits = 0;
    std::uint32_t level_ : level_bits = 0;  // hits_first << level_ are granted while the clock stands still
    bool begun_ : 1 = false;
    bool again_ : 1 = false;  // looked more than once since the clock moved
};
static_assert(sizeof(look_pace) == sizeof(std::uint32_t));

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

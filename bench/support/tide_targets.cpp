// What the tide is to reach: the third table behind targets_of(). The worst round counts.
#include <fmt/format.h>

#include "support/targets.hpp"
#include "tide/tide.hpp"

namespace bench {

namespace {

constexpr double left_mib_max = 16;
// What the driver of the ticks needs beyond two decay intervals: a thread that allocates all the while, to hand down
// one to two GiB in slices; a background thread, to wake up for each tick.
constexpr double driver_s = 0.25, ticker_s = 2 * std::chrono::duration<double>(tide::ticker_period).count();

}  // namespace

std::vector<target> tide_targets_of(const std::vector<result>& results) {
    std::vector<target> all;
    for (const result& r : results) {
        if (!r.empty_after_s) continue;
        const double late = r.bench == fmt::format("tide-{}", tide::background) ? ticker_s : driver_s;
        const double limit = 2 * std::chrono::duration<double>(tide::decay_interval).count() + late;
        all.push_back({fmt::format("{}, {}: the pool holds nothing", r.bench, r.who),
                       fmt::format("after {:.2f} s", limit), fmt::format("{:.2f} s", *r.empty_after_s),
                       *r.empty_after_s <= limit});
        all.push_back({fmt::format("{}, {}: resident against before", r.bench, r.who),
                       fmt::format("within {:.0f} MiB", left_mib_max), fmt::format("{:+.1f} MiB", r.max),
                       r.max <= left_mib_max});
    }
    return all;
}

}  // namespace bench

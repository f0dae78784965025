// What ticks may cost.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "support/targets.hpp"
#include "ticks/names.hpp"

namespace bench {

namespace {

struct tick_target {
    const char* bench;
    const char* what;
    const char* unit;
    double below;
};

constexpr tick_target tick_targets[] = {
    {hold_up_p999, "99.9th percentile of operations", "us", 5},
    {hold_up_with_tick, "longest operation with a tick", "us", 50},
    {hold_up_share, "ticking", "% of a processor", 0.1},
};

}  // namespace

// The longest of all rounds counts, of the others the median.
std::vector<target> tick_targets_of(const std::vector<result>& results) {
    std::vector<target> all;
    for (const tick_target& t : tick_targets)
        for (const result& r : results) {
            if (r.bench != std::string(t.bench) || r.who.ends_with("no ticks")) continue;
            const double reached = t.bench == std::string(hold_up_with_tick) ? r.max : r.median;
            all.push_back({fmt::format("{}, {}", t.what, r.who), fmt::format("under {:.3g} {}", t.below, t.unit),
                           fmt::format("{:.3g} {}", reached, t.unit), reached < t.below});
        }
    return all;
}

}  // namespace bench

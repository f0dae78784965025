// What Tidepool is to reach, and whether it did. The numbers are the project's promises to itself, not tests: a bench
// that misses one says so and goes on.
#pragma once

#include <string>
#include <vector>

#include "support/result.hpp"

namespace bench {

struct target {
    std::string what;
    std::string limit;
    std::string reached;
    bool ok;
};

// Those targets whose benches were run.
std::vector<target> targets_of(const std::vector<result>& results);
// Those of them that are about malloc, about pools over other allocators, and about ticks.
std::vector<target> malloc_targets_of(const std::vector<result>& results);
std::vector<target> front_targets_of(const std::vector<result>& results);
std::vector<target> tick_targets_of(const std::vector<result>& results);
// Those that are about the tide.
std::vector<target> tide_targets_of(const std::vector<result>& results);

}  // namespace bench

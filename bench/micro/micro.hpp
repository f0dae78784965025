// The micro benches, one file each.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/bench.hpp"

namespace bench {

enum class order { in_order, reverse };

micro_bench pair_bench(unsigned threads);
micro_bench batch_bench(order freed);
micro_bench handoff_bench();
micro_bench random_bench(unsigned threads);

// KiB of resident memory a resource holds that was made and never used: the growth over many of them.
struct idle_result {
    std::string who;
    std::vector<double> samples_kib;
    unsigned long upstream_calls;  // how often they asked their upstream for anything, all together
};
const std::vector<std::string>& idle_candidates();
idle_result measure_idle(const std::string& who, unsigned rounds);

}  // namespace bench

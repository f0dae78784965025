// The main job, contestant by contestant and round by round, each in a process of its own, with what it did to the
// resident memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compare/peers.hpp"
#include "index/job.hpp"
#include "support/result.hpp"

namespace bench {

struct index_bench {
    std::string name;
    threading how;
    std::vector<peer_kind> who;
    bool waits;  // also see what time alone does to the memory; one more run for each, outside the rounds
};

struct index_result {
    std::vector<double> samples_ms;
    std::map<std::string, std::vector<double>> phases_ms;
    memory_use memory;
};

struct index_report {
    std::vector<index_result> results;  // as in index_bench::who
    std::string stats;                  // Tidepool's in the last round, after the drop and before the ticks
    std::uint64_t words = 0, positions = 0;
};

// Throws std::runtime_error when two contestants disagree about the index.
index_report measure(const index_bench& bench, const std::vector<std::string_view>& files,
                     const std::vector<query>& queries, unsigned rounds,
                     const std::function<void(const std::string& now)>& on_step);

}  // namespace bench

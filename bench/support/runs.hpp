// Turns that were processes of their own, each with a JSON object to say what came of it.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "support/result.hpp"
#include "support/summary.hpp"

namespace bench {

// runs[i][round], of contestant i.
using all_runs = std::vector<std::vector<nlohmann::json>>;

inline std::vector<double> values(const std::vector<nlohmann::json>& runs, const char* field) {
    std::vector<double> all;
    for (const nlohmann::json& each : runs) all.push_back(each.at(field));
    return all;
}

inline long median_kib(const std::vector<nlohmann::json>& runs, const char* field) {
    return static_cast<long>(median(values(runs, field)));
}

}  // namespace bench

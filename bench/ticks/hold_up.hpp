// How long a working thread is held up when 64 pools with 100 000 idle blocks age, and what the aging costs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "ticks/names.hpp"

namespace bench {

// "UPSTREAM, HOW": see bench/README.md.
std::vector<std::string> hold_up_contestants();
// So many seconds of it. Throws std::invalid_argument for one that is not there.
nlohmann::json hold_up(const std::string& who, std::size_t seconds);

}  // namespace bench

// What the machine looks like from inside. Linux.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace bench {

// Processor, memory, kernel, compiler and so on, as they go into a results file.
nlohmann::json machine();

}  // namespace bench

// Who takes part in the front benches, each a function that runs one turn.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "fronts/benches.hpp"

namespace bench {

struct front_contestant {
    std::string who;
    front_turn (*turn)(const front_bench& b, std::size_t n);
};

// Those whose library this build has.
const std::vector<front_contestant>& front_contestants();

}  // namespace bench

// The order in which contestants are measured.
#pragma once

#include <cstddef>

namespace bench {

// Calls take_turn(round, i) for each of `count` contestants in every round, a different one first each time, so that
// whatever the machine does besides hits all alike.
template <class Turn>
void in_turn(unsigned rounds, std::size_t count, Turn take_turn) {
    for (unsigned round = 0; round < rounds; ++round)
        for (std::size_t turn = 0; turn < count; ++turn) take_turn(round, (turn + round) % count);
}

}  // namespace bench

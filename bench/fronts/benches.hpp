// The benches of pools over mimalloc and jemalloc: what there is to run, and under which names. Shared by
// tidepool-bench, which says what is to be measured, and tidepool-front-bench, which does it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "support/dice.hpp"

namespace bench {

enum class front_work { pair, batch, random, grow, handoff };

const char* name_of(front_work work);

struct front_bench {
    std::string name;
    front_work work;
    unsigned threads;
    size_range sizes;
    std::size_t blocks;  // live, or on their way, at most
    std::size_t step;    // operations are a multiple of it
};

const std::vector<front_bench>& front_benches();

// A pool over an allocator, and the two ways to that allocator without it.
struct front_library {
    std::string name;
    std::string front, direct, resource;

    std::vector<std::string> all() const { return {front, direct, resource}; }
};

const std::vector<front_library>& front_libraries();

// What a turn, which is a process of its own, has to say.
struct front_turn {
    double ns = 0;        // an operation
    long before_kib = 0;  // resident before the first block
};

}  // namespace bench

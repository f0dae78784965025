// The benches of malloc and free. Each is run once in a process of its own, under whichever malloc was preloaded, and
// warms up by a fixed number of operations before the clock starts.
#pragma once

#include <cstddef>

#include "support/dice.hpp"

namespace bench {

struct measured {
    double ns = 0;          // an operation, as bench/README.md says for each
    double first_ns = 0;    // the same for the first cycle alone
    long after_kib = 0;     // resident when all is given back and the threads are still there
    double thread_kib = 0;  // resident for each sleeping thread, its stack left out
};

inline constexpr size_range mixed{16, 1040};
inline constexpr size_range blocks_of_64{64, 64};

measured pairs(std::size_t bytes, std::size_t n);
measured batches(bool in_order, std::size_t n);
measured replacements(std::size_t n);
measured up_and_down(std::size_t n);
// `takers` threads hand to as many others. The first taker is the main thread.
measured handoff(unsigned takers, size_range sizes, std::size_t n);
measured server(unsigned lanes, std::size_t n);
measured sleepers(std::size_t threads);

// What every bench of mixed sizes does with a block: a program writes at least a byte into what it asked for.
inline void write_byte(void* p) { *static_cast<volatile unsigned char*>(p) = 1; }

}  // namespace bench

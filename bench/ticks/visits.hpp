// How many visits pools have paid to the locals of their threads: each puts one memory barrier on all running threads
// (src/base/asymmetric_fence.hpp), and this program counts those barriers where they pass the C library. A tick is one
// visit, as long as there are no more than 64 threads. So an operation can be told that met a tick, and nobody is
// disturbed by asking the pools, whose statistics are visits themselves.
#pragma once

#include <cstdint>

namespace bench {

struct visits {
    std::uint64_t own;  // by the calling thread
    std::uint64_t all;
};

visits visits_so_far();

// While one lives, visits of the calling thread are not counted.
class uncounted_visits {
public:
    uncounted_visits();
    uncounted_visits(const uncounted_visits&) = delete;
    uncounted_visits& operator=(const uncounted_visits&) = delete;
    ~uncounted_visits();
};

}  // namespace bench

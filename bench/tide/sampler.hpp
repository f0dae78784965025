// Resident memory over time, and what the pool holds meanwhile: a thread that looks every 20 ms and allocates nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tide/contestants.hpp"

namespace bench::tide {

using clock = std::chrono::steady_clock;

struct sample {
    clock::time_point when;
    double resident_mib;  // by /proc/self/statm: cheap, and off by less than 1 MiB
    double held_mib;
};

class sampler {
public:
    // Runs from here on; keeps as many samples as a minute has.
    explicit sampler(const contestant& of);
    sampler(const sampler&) = delete;
    sampler& operator=(const sampler&) = delete;
    ~sampler();

    // Ends it.
    const std::vector<sample>& taken();

private:
    void run();
    sample now() const;

    const contestant& of_;
    const int statm_;
    std::vector<sample> taken_;  // its thread's, until that has ended
    std::atomic<bool> over_ = false;
    std::thread thread_;
};

}  // namespace bench::tide

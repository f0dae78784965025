// Resident memory over time, and what the pool holds meanwhile: a thread that looks every 20 ms and allocates nothing.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include "tide/contestants.hpp"
#include "tide/tide.hpp"

namespace bench::tide {

using clock = std::chrono::steady_clock;

struct sample {
    clock::time_point when;
    double resident_mib;  // by /proc/self/statm: cheap, and off by less than 1 MiB
    double held_mib;      // idle in the pool, in its magazines and in whole spans
};

class sampler {
public:
    // Runs from here on; keeps as many samples as a minute has. Their memory is written once here, so that it is no
    // part of what grows.
    explicit sampler(const contestant& of)
        : of_(of), statm_(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)), taken_(samples_max) {
        if (statm_ < 0) throw std::system_error(errno, std::generic_category(), "/proc/self/statm");
        taken_.clear();
        thread_ = std::thread(&sampler::run, this);
    }
    sampler(const sampler&) = delete;
    sampler& operator=(const sampler&) = delete;
    ~sampler() {
        taken();
        ::close(statm_);
    }

    // Ends it.
    const std::vector<sample>& taken() {
        over_ = true;
        if (thread_.joinable()) thread_.join();
        return taken_;
    }

private:
    static constexpr std::size_t samples_max = std::chrono::minutes(1) / sample_period;

    void run() {
        auto next = clock::now();
        while (!over_ && taken_.size() < samples_max) {
            taken_.push_back(now());
            std::this_thread::sleep_until(next += sample_period);
        }
    }

    sample now() const {
        constexpr double mib = 1 << 20;
        char text[128] = {};
        if (::pread(statm_, text, sizeof text - 1, 0) < 0)
            throw std::system_error(errno, std::generic_category(), "/proc/self/statm");
        char* second = nullptr;
        std::strtoul(text, &second, 10);
        const auto pages = static_cast<double>(std::strtoul(second, nullptr, 10));
        const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
        const tidepool::stats pool = of_.stats();
        const auto held = static_cast<double>(pool.bytes_cached + pool.bytes_idle);
        return {clock::now(), pages * page / mib, held / mib};
    }

    const contestant& of_;
    const int statm_;
    std::vector<sample> taken_;  // its thread's, until that has ended
    std::atomic<bool> over_ = false;
    std::thread thread_;
};

}  // namespace bench::tide

// The one source of chance in the tests. Any thread.
//
// A run prints its seed; TIDEPOOL_TEST_SEED=<the number> deals the same numbers again, in every thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace support {

using rng = std::mt19937_64;

// Fixed for the run: TIDEPOOL_TEST_SEED where it is set, otherwise drawn once.
inline std::uint64_t seed() {
    static const std::uint64_t drawn = [] {
        if (const char* given = std::getenv("TIDEPOOL_TEST_SEED")) return std::strtoull(given, nullptr, 0);
        return static_cast<unsigned long long>(std::random_device{}());
    }();
    return drawn;
}

// A generator of its own for each thread or purpose: `stream` tells them apart, so that what one draws does not hang on
// the order in which threads run.
inline rng make_rng(std::uint64_t stream = 0) {
    std::seed_seq mixed{seed(), seed() >> 32, stream, stream >> 32};
    return rng(mixed);
}

}  // namespace support

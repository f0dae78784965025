// The only source of random numbers in the tests. Thread-safe.
//
// A run prints its seed; TIDEPOOL_TEST_SEED=<the number> yields the same numbers again, in every thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace support {

using rng = std::mt19937_64;

// Fixed for the run: TIDEPOOL_TEST_SEED if it is set, otherwise drawn once.
inline std::uint64_t seed() {
    static const std::uint64_t drawn = [] {
        if (const char* given = std::getenv("TIDEPOOL_TEST_SEED")) return std::strtoull(given, nullptr, 0);
        return static_cast<unsigned long long>(std::random_device{}());
    }();
    return drawn;
}

// A generator for one thread or purpose, selected by `stream`, so that its numbers do not depend on the order in which
// threads run.
inline rng make_rng(std::uint64_t stream = 0) {
    std::seed_seq mixed{seed(), seed() >> 32, stream, stream >> 32};
    return rng(mixed);
}

}  // namespace support

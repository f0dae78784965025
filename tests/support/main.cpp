// The tests' main: doctest's own, after the seed was printed.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "seed.hpp"

int main(int argc, char** argv) {
    const std::string seed = std::to_string(support::seed());
    // One number replays the whole run: the chaos build's dice follow it unless they were given one of their own.
    setenv("TIDEPOOL_CHAOS_SEED", seed.c_str(), false);
    std::printf("TIDEPOOL_TEST_SEED=%s\n", seed.c_str());
    std::fflush(stdout);
    return doctest::Context(argc, argv).run();
}

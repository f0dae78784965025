// The main function of the tests: prints the seed, then runs doctest.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "seed.hpp"

int main(int argc, char** argv) {
    const std::string seed = std::to_string(support::seed());
    // One number repeats the whole run: the chaos build uses it, too, unless it was given a seed of its own.
    setenv("TIDEPOOL_CHAOS_SEED", seed.c_str(), false);
    std::printf("TIDEPOOL_TEST_SEED=%s\n", seed.c_str());
    std::fflush(stdout);
    return doctest::Context(argc, argv).run();
}

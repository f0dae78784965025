// tidepool-front-bench BENCH WHO N: one turn of one contestant of the front benches, or of tick-hold-up, as one line of
// JSON. Without arguments it says who there is.
//
// bench/run starts it once for each turn, so that a turn's heap, threads and peak of memory are its own. Its malloc is
// libc's: mimalloc and jemalloc are called by their own names.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fronts/benches.hpp"
#include "fronts/contestants.hpp"
#include "support/resident.hpp"
#include "ticks/hold_up.hpp"

namespace {

nlohmann::json front(const bench::front_bench& b, const std::string& who, std::size_t n) {
    for (const bench::front_contestant& each : bench::front_contestants())
        if (each.who == who) {
            const bench::front_turn got = each.turn(b, n);
            return {{"ns", got.ns}, {"before_kib", got.before_kib}, {"peak_kib", bench::resident_peak_kib()}};
        }
    throw std::invalid_argument("nobody is called " + who);
}

nlohmann::json run(const std::string& name, const std::string& who, std::size_t n) {
    if (name == bench::hold_up_name) return bench::hold_up(who, n);
    for (const bench::front_bench& each : bench::front_benches())
        if (each.name == name) return front(each, who, n);
    throw std::invalid_argument("no bench is called " + name);
}

int say_who() {
    for (const bench::front_contestant& each : bench::front_contestants()) fmt::print("{}\n", each.who);
    for (const std::string& each : bench::hold_up_contestants()) fmt::print("{}\n", each);
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) return say_who();
    if (argc != 4) {
        std::fputs("usage: tidepool-front-bench [BENCH WHO N]\n", stderr);
        return EXIT_FAILURE;
    }
    try {
        fmt::print("{}\n", run(argv[1], argv[2], std::strtoull(argv[3], nullptr, 10)).dump());
    } catch (const std::exception& e) {
        fmt::print(stderr, "tidepool-front-bench: {}\n", e.what());
        return EXIT_FAILURE;
    }
    // Not exit(): what the libraries do at the end is no part of a turn.
    std::fflush(stdout);
    ::_exit(EXIT_SUCCESS);
}

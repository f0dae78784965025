// What a micro bench is made of, and the rounds in which it is measured.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace bench {

// One contestant ready to run, with whatever it keeps from round to round.
struct subject {
    // Does n operations as thread `thread` of the bench. Called by all threads of the bench at the same time.
    std::function<void(unsigned thread, std::size_t n)> run;
    // Called before each round, outside the clock.
    std::function<void()> before_round = {};
    // Most operations in one round.
    std::size_t n_max = std::numeric_limits<std::size_t>::max();
};

// One contestant by name; made in the process that measures it.
struct candidate {
    std::string who;
    std::function<subject()> make;
};

struct micro_bench {
    std::string name;
    unsigned threads;
    std::size_t step;  // n is a multiple of this
    std::vector<candidate> candidates;
};

struct settings {
    unsigned rounds;
    double round_ms;  // aimed at for each contestant's part of a round
};

// The number of operations, a multiple of `step`, that fills a round of aim_ns nanoseconds when took_ns(n) is what n of
// them take. The better of two tries counts, lest a moment's disturbance be taken for slowness.
std::size_t calibrated(const std::function<double(std::size_t n)>& took_ns, std::size_t step, std::size_t n_max,
                       double aim_ns);

// samples[i][r] is what candidate i took in round r, in nanoseconds an operation: the time from the first thread's
// start to the last one's end, over the operations of one thread. The candidates take turns (turns.hpp).
std::vector<std::vector<double>> measure(const micro_bench& bench, const settings& how,
                                         const std::function<void(unsigned round)>& on_round);

}  // namespace bench

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

// samples[i][r] is what candidate i took in round r, in nanoseconds an operation: the time from the first thread's
// start to the last one's end, over the operations of one thread. In each round every candidate has its turn, starting
// with another one each time, so that whatever the machine does besides hits all alike.
std::vector<std::vector<double>> measure(const micro_bench& bench, const settings& how,
                                         const std::function<void(unsigned round)>& on_round);

}  // namespace bench

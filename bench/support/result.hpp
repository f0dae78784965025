// One line of the table: what one contestant reached in one bench.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace bench {

// Medians over the rounds, in KiB, all of it resident memory of the whole process. 0: not measured.
struct memory_use {
    long before = 0;       // before the job, the input in memory
    long peak = 0;         // the most during the job
    long after_drop = 0;   // when the index, or all blocks, were gone
    long after_decay = 0;  // two ticks later
    long after_wait = 0;   // instead of tick(): two and a half seconds of light work later
};

struct result {
    std::string bench, who;
    unsigned threads = 1;
    std::string unit;
    double median = 0, min = 0, max = 0;
    unsigned rounds = 0;
    std::optional<double> ratio = {};  // this one's time over the reference's; the median over the rounds
    std::optional<memory_use> memory = {};
    std::optional<unsigned long> upstream_calls = {};
    std::optional<double> cpu_ms = {};         // user and system; the median over the rounds
    std::optional<double> empty_after_s = {};  // until a pool held nothing; the longest of the rounds
};

// The first result of that name, or null.
const result* find(const std::vector<result>& all, const std::string& bench, unsigned threads, const std::string& who);

}  // namespace bench

// Real programs of the distribution, as they are, each on one piece of work. One file for each.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// One run from beginning to end.
struct program_run {
    double wall_ms, cpu_ms;  // by the clock; user and system
    long peak_kib;
    std::string outcome;  // must be the same under every malloc
    std::vector<std::pair<std::string, double>> parts_ms = {};
};

struct real_program {
    std::string name;
    unsigned threads;
    bool brings_its_own;  // linked to a malloc other than libc's: also run with nothing preloaded
    // Makes the input in the folder, in a child: a program's peak is never less than what this process holds when it
    // starts it. Returns what runs the program there with a library preloaded.
    std::function<std::function<program_run(const std::string& preload)>(const std::filesystem::path& folder,
                                                                         bool quick)>
        prepare;
};

real_program compiler();
real_program json_in_threads();
real_program sort_lines();
real_program redis();

}  // namespace bench

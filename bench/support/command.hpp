// Other programs, run with a library preloaded or without, in the C locale. The calling process must have one thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "support/process.hpp"

namespace bench {

struct command {
    std::vector<std::string> argv;  // argv[0] is looked up in PATH where it has no slash
    std::string preload = {};       // LD_PRELOAD; empty: none, whatever this process was started with
    std::vector<std::pair<std::string, std::string>> environment = {};
};

struct finished : ended {
    double wall_ms;
    std::string output;  // what it wrote to stdout
};

// Runs it to its end. Throws std::runtime_error when that is not a good one.
finished run(const command& what);

// One that runs beside us, its stdout thrown away. Killed by the destructor unless waited for.
class background {
public:
    explicit background(const command& what);
    background(const background&) = delete;
    background& operator=(const background&) = delete;
    ~background();

    bool has_ended() const;
    // Until it ends by itself; as reap().
    ended wait();

private:
    std::string name_;
    pid_t child_;
};

}  // namespace bench

// Child processes: what in_child() and command.hpp have in common.
#pragma once

#include <sys/types.h>

#include <string>

namespace bench {

// All that comes through a pipe until its other end is closed.
std::string read_all(int from);

struct ended {
    double cpu_ms;  // user and system, of the child and of those it waited for
    long peak_kib;  // the most that one of them had resident; what we had at the fork counts, too
};

// Waits for the child. Throws std::runtime_error, which calls it `what`, unless it exited with status 0.
ended reap(pid_t child, const std::string& what);

}  // namespace bench

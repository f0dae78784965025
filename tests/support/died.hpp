// Runs code that is meant to end the process in a child and reports how it ended: for tests of fatal messages.
//
// Call it while no other thread runs, since the child has only the calling thread. Leak checks do not run in the child.
#pragma once

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <utility>

#if defined(TIDEPOOL_TESTS_COUNTED)
extern "C" void __gcov_dump();
#endif

namespace support {

// Where lines are counted, the counts are written at exit, which a child that dies does not reach.
inline void write_counts() noexcept {
#if defined(TIDEPOOL_TESTS_COUNTED)
    __gcov_dump();
#endif
}

struct death {
    int exit_status = -1;  // -1 if a signal ended it
    int signal = 0;        // 0 if it exited
    std::string text;      // what it wrote to stderr

    // Whether it neither returned from the callable nor exited with 0. Sanitizers exit, assertions abort: both count.
    bool violent() const { return exit_status != 0; }
    bool said(const std::string& words) const { return text.find(words) != std::string::npos; }
};

// exit_status is 0 if `deed` returned. SIGALRM ends a child that hangs for a minute.
template <class Deed>
death died(Deed&& deed) {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    std::fflush(nullptr);  // otherwise the child would write the parent's buffers a second time
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        const rlimit none{0, 0};
        setrlimit(RLIMIT_CORE, &none);
        // doctest's handlers would report the death as a failed test.
        for (const int each : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGTERM, SIGINT}) std::signal(each, SIG_DFL);
#if defined(TIDEPOOL_TESTS_COUNTED)
        std::signal(SIGABRT, [](int) { write_counts(); });  // abort() goes on afterwards
#endif
        alarm(60);
        [&]() noexcept { std::forward<Deed>(deed)(); }();
        std::fflush(stderr);
        write_counts();
        _exit(0);
    }
    close(pipe_ends[1]);
    death end;
    char buffer[4096];
    for (ssize_t got; (got = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
        end.text.append(buffer, static_cast<std::size_t>(got));
    close(pipe_ends[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) end.exit_status = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    return end;
}

}  // namespace support

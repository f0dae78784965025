#include "support/command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace bench {

namespace {

constexpr int not_started = 127;  // the shell's status for a program that cannot be run

[[noreturn]] void become(const command& what, int out) {
    std::vector<char*> argv;
    for (const std::string& each : what.argv) argv.push_back(const_cast<char*>(each.c_str()));
    argv.push_back(nullptr);
    ::setenv("LC_ALL", "C", 1);
    for (const auto& [name, value] : what.environment) ::setenv(name.c_str(), value.c_str(), 1);
    what.preload.empty() ? ::unsetenv("LD_PRELOAD") : ::setenv("LD_PRELOAD", what.preload.c_str(), 1);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(null, STDIN_FILENO);
    ::dup2(out >= 0 ? out : null, STDOUT_FILENO);
    ::execvp(argv[0], argv.data());
    std::fprintf(stderr, "\ncannot run %s: %s\n", argv[0], std::strerror(errno));
    ::_exit(not_started);
}

// out: what becomes its stdout; negative: nothing does.
pid_t started(const command& what, int out) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) become(what, out);
    return child;
}

}  // namespace

finished run(const command& what) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = started(what, ends[1]);
    ::close(ends[1]);
    finished result{};
    result.output = read_all(ends[0]);
    ::close(ends[0]);
    static_cast<ended&>(result) = reap(child, what.argv[0]);
    result.wall_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return result;
}

background::background(const command& what) : name_(what.argv[0]), child_(started(what, -1)) {}

background::~background() {
    if (child_ == 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
}

bool background::has_ended() const {
    siginfo_t found{};
    // Left for wait() to reap. Filled in only where it has ended.
    return ::waitid(P_PID, static_cast<id_t>(child_), &found, WEXITED | WNOHANG | WNOWAIT) == 0 && found.si_pid != 0;
}

ended background::wait() { return reap(std::exchange(child_, 0), name_); }

}  // namespace bench

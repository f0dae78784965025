#include "support/process.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>

namespace bench {

namespace {

double ms(const timeval& t) { return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3; }

}  // namespace

std::string read_all(int from) {
    std::string text;
    char buffer[4096];
    for (;;) {
        const ssize_t got = ::read(from, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category(), "read");
        if (got == 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
}

ended reap(pid_t child, const std::string& what) {
    int status = 0;
    rusage used{};
    while (::wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "wait4");
    if (WIFSIGNALED(status)) throw std::runtime_error(fmt::format("{} was ended by signal {}", what, WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        throw std::runtime_error(fmt::format("{} failed with status {}", what, WEXITSTATUS(status)));
    return {ms(used.ru_utime) + ms(used.ru_stime), used.ru_maxrss};
}

}  // namespace bench

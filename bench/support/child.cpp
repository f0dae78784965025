#include "support/child.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bench {

namespace {

void write_all(int to, const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
        const ssize_t wrote = ::write(to, text.data() + at, text.size() - at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) throw std::system_error(errno, std::generic_category(), "write");
        at += static_cast<std::size_t>(wrote);
    }
}

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

[[noreturn]] void be_child(int to, const std::function<nlohmann::json()>& work) {
    int status = EXIT_FAILURE;
    try {
        write_all(to, work().dump());
        status = EXIT_SUCCESS;
    } catch (const std::exception& e) {
        fmt::print(stderr, "\n{}\n", e.what());
    }
    // Not exit(): what is static is the parent's to end.
    ::_exit(status);
}

}  // namespace

nlohmann::json in_child(const std::function<nlohmann::json()>& work) {
    // What is buffered now would otherwise be printed twice.
    std::fflush(nullptr);
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    const pid_t child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
        ::close(ends[0]);
        be_child(ends[1], work);
    }
    ::close(ends[1]);
    const std::string text = read_all(ends[0]);
    ::close(ends[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status))
        throw std::runtime_error(fmt::format("a bench process was ended by signal {}", WTERMSIG(status)));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) throw std::runtime_error("a bench process failed");
    return nlohmann::json::parse(text);
}

}  // namespace bench

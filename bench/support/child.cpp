#include "support/child.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/process.hpp"

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
    reap(child, "a bench process");
    return nlohmann::json::parse(text);
}

}  // namespace bench

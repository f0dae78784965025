#include "support/machine.hpp"

#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/resident.hpp"

namespace bench {

namespace {

std::string first_line(const char* path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

}  // namespace

nlohmann::json machine() {
    utsname system{};
    ::uname(&system);
#if defined(__clang__)
    const std::string compiler = "clang " __clang_version__;
#else
    const std::string compiler = "gcc " __VERSION__;
#endif
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    return {
        {"cpu", proc_field("/proc/cpuinfo", "model name")},
        {"cores", std::thread::hardware_concurrency()},
        {"memory_kib", proc_kib("/proc/meminfo", "MemTotal")},
        {"kernel", fmt::format("{} {}", system.sysname, system.release)},
        {"libc", fmt::format("glibc {}", ::gnu_get_libc_version())},
        {"compiler", compiler},
        {"huge_pages", first_line("/sys/kernel/mm/transparent_hugepage/enabled")},
        {"load_before", first_line("/proc/loadavg")},
        {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))},
        {"tidepool", TIDEPOOL_VERSION},
    };
}

}  // namespace bench

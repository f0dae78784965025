#include "support/machine.hpp"

#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bench {

namespace {

// What stands behind "name:" on its line of the file; empty where there is no such line.
std::string field(const char* path, const std::string& name) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
        if (line.rfind(name, 0) != 0) continue;
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        const auto value = line.find_first_not_of(" \t", colon + 1);
        return value == std::string::npos ? std::string() : line.substr(value);
    }
    return {};
}

long kib(const char* path, const std::string& name) {
    const std::string value = field(path, name);
    if (value.empty()) throw std::runtime_error(fmt::format("no {} in {}", name, path));
    return std::stol(value);
}

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
        {"cpu", field("/proc/cpuinfo", "model name")},
        {"cores", std::thread::hardware_concurrency()},
        {"memory_kib", kib("/proc/meminfo", "MemTotal")},
        {"kernel", fmt::format("{} {}", system.sysname, system.release)},
        {"libc", fmt::format("glibc {}", ::gnu_get_libc_version())},
        {"compiler", compiler},
        {"huge_pages", first_line("/sys/kernel/mm/transparent_hugepage/enabled")},
        {"load_before", first_line("/proc/loadavg")},
        {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))},
        {"tidepool", TIDEPOOL_VERSION},
    };
}

long resident_kib() { return kib("/proc/self/smaps_rollup", "Rss"); }

long resident_peak_kib() { return kib("/proc/self/status", "VmHWM"); }

// Where the kernel refuses, the peak is counted since the fork, which is earlier but never less.
void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace bench

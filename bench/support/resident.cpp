#include "support/resident.hpp"

#include <fstream>
#include <stdexcept>

namespace bench {

std::string proc_field(const std::string& path, const std::string& name) {
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

long proc_kib(const std::string& path, const std::string& name) {
    const std::string value = proc_field(path, name);
    if (value.empty()) throw std::runtime_error("no " + name + " in " + path);
    return std::stol(value);
}

long resident_kib() { return proc_kib("/proc/self/smaps_rollup", "Rss"); }

long resident_peak_kib(const std::string& process) { return proc_kib("/proc/" + process + "/status", "VmHWM"); }

// Where the kernel refuses, the peak is counted since the fork, which is earlier but never less.
void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace bench

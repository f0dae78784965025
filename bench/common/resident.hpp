// Resident memory, as the kernel counts it. Linux. Needs the standard library only: the bench of malloc, a plain
// program, uses it, too.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {

// What follows "name:" on its line of the file; empty if there is no such line.
inline std::string proc_field(const std::string& path, const std::string& name) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
        const auto colon = line.find(':');
        if (line.rfind(name, 0) != 0 || colon == std::string::npos) continue;
        const auto value = line.find_first_not_of(" \t", colon + 1);
        return value == std::string::npos ? std::string() : line.substr(value);
    }
    return {};
}

// The same as a number of KiB. Throws std::runtime_error if there is none.
inline long proc_kib(const std::string& path, const std::string& name) {
    const std::string value = proc_field(path, name);
    if (value.empty()) throw std::runtime_error("no " + name + " in " + path);
    return std::stol(value);
}

// Resident memory of this process, counted page by page (the cheaper counters of the kernel lag behind).
inline long resident_kib() { return proc_kib("/proc/self/smaps_rollup", "Rss"); }

// The most that was resident since forget_peak().
inline long resident_peak_kib() { return proc_kib("/proc/self/status", "VmHWM"); }

// If the kernel refuses, the peak is counted since the fork, which is earlier but never less.
inline void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace bench

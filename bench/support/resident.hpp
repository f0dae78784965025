// Resident memory, as the kernel counts it. Linux. Needs the standard library only: the shim's bench, which must be a
// plain program, uses it, too.
#pragma once

#include <string>

namespace bench {

// What stands behind "name:" on its line of the file; empty where there is no such line.
std::string proc_field(const std::string& path, const std::string& name);
// The same as a number of KiB; throws std::runtime_error where there is none.
long proc_kib(const std::string& path, const std::string& name);

// Resident memory of this process in KiB, counted page by page (the cheaper counters of the kernel lag behind).
long resident_kib();
// The most that was resident since forget_peak(), in KiB; of this process or of another.
long resident_peak_kib(const std::string& process = "self");
void forget_peak();

}  // namespace bench

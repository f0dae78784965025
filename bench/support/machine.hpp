// What the machine and this process look like from inside. Linux.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace bench {

// Processor, memory, kernel, compiler and so on, as they go into a results file.
nlohmann::json machine();

// Resident memory of this process in KiB, counted page by page (the cheaper counters of the kernel lag behind).
long resident_kib();
// The most that was resident since forget_peak(), in KiB.
long resident_peak_kib();
void forget_peak();

}  // namespace bench

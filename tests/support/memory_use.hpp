// How much memory the process has, for tests that memory does not accumulate.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdio>

#include "scale.hpp"

namespace support {

// Sanitizers keep shadows, histories and quarantines, and an emulator is in the same process, so resident memory says
// nothing about the library there.
inline constexpr bool resident_is_ours = !under_tsan && !under_asan && !emulated;

// Resident bytes of the process; 0 if the system does not report them.
inline std::size_t resident_bytes() {
    std::FILE* statm = std::fopen("/proc/self/statm", "r");
    if (!statm) return 0;
    unsigned long total = 0, resident = 0;
    const int read = std::fscanf(statm, "%lu %lu", &total, &resident);
    std::fclose(statm);
    return read == 2 ? resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace support

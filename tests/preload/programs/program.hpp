// What the programs share. Each is a test of its own that passes by exiting with 0. None is linked to Tidepool, so each
// runs with any malloc.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace programs {

// Ends the program at once with a non-zero status if the condition does not hold.
inline void require(bool holds, const char* what) noexcept {
    if (holds) return;
    std::fprintf(stderr, "check failed: %s\n", what);
    std::_Exit(1);
}

// The same for a value that may not exceed a limit.
inline void require_at_most(std::size_t value, std::size_t limit, const char* what) noexcept {
    if (value <= limit) return;
    std::fprintf(stderr, "check failed: %s: %zu is more than %zu\n", what, value, limit);
    std::_Exit(1);
}

// Whether to test what only the shim promises; whoever starts the program says so, it is never guessed.
inline bool shim_promises() noexcept {
    const char* asked = std::getenv("TIDEPOOL_TESTS_SHIM");
    return asked && *asked;
}

// Resident bytes of the process. Allocates nothing, so that an idle process stays idle.
inline std::size_t resident_bytes() noexcept {
    char text[128] = {};
    const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    require(file >= 0 && read(file, text, sizeof text - 1) > 0, "/proc/self/statm can be read");
    close(file);
    unsigned long total = 0, resident = 0;
    require(std::sscanf(text, "%lu %lu", &total, &resident) == 2, "/proc/self/statm is understood");
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// The size of the n-th block: a pooled size, small ones more often.
inline std::size_t mixed_size(std::size_t number) noexcept {
    constexpr std::size_t sizes[]{16,  24,  32,  48,  64,  72,   100,  128,  150,
                                  200, 256, 333, 512, 700, 1024, 2000, 4096, 9000};
    return sizes[number % (sizeof sizes / sizeof *sizes)];
}

// Allocates a block and writes to all of it.
inline void* take(std::size_t bytes) noexcept {
    auto* p = static_cast<char*>(std::malloc(bytes));
    require(p, "there is memory");
    for (std::size_t i = 0; i < bytes; i += 64) p[i] = static_cast<char>(bytes);
    p[bytes - 1] = static_cast<char>(bytes);
    return p;
}

inline constexpr std::size_t mib = 1024 * 1024;

}  // namespace programs

// Large blocks: what is freed serves the next request of its size without page faults, leaves the process after two
// ticks, and is neither lost in a realloc() nor found in a calloc().
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string_view>

#include "program.hpp"

namespace {

using namespace programs;

constexpr std::size_t kib = 1024;

long faults() {
    rusage use{};
    require(getrusage(RUSAGE_SELF, &use) == 0, "page faults are counted");
    return use.ru_minflt;
}

// Mimalloc and jemalloc have ways of their own.
bool from_regions() {
    const char* flavour = std::getenv("TIDEPOOL_TESTS_SHIM");
    return flavour && (std::string_view(flavour) == "libc" || std::string_view(flavour) == "pages");
}

// Two blocks of each size in turn, so that libc would trim and grow its heap.
void take_and_free(std::size_t most) {
    for (std::size_t bytes = 40 * kib; bytes <= most; bytes += bytes / 3) {
        void* first = take(bytes);
        void* second = take(bytes);
        std::free(first);
        std::free(second);
    }
}

void sizes_change_and_bytes_stay() {
    constexpr std::size_t sizes[]{100,      40 * kib, 64 * kib,  65 * kib, 4 * mib, 4 * mib + 1, 9 * mib,  300 * kib,
                                  33 * kib, 20 * kib, 700 * kib, 3 * mib,  5 * mib, 4 * mib,     50 * kib, 10};
    std::size_t had = 0;
    unsigned char* p = nullptr;
    for (const std::size_t bytes : sizes) {
        p = static_cast<unsigned char*>(std::realloc(p, bytes));
        require(p && malloc_usable_size(p) >= bytes, "realloc() gives what it is asked for");
        for (std::size_t i = 0; i < had && i < bytes; ++i)
            require(p[i] == static_cast<unsigned char>(i * 7 + i / 251), "realloc() keeps the bytes");
        for (std::size_t i = 0; i < bytes; ++i) p[i] = static_cast<unsigned char>(i * 7 + i / 251);
        had = bytes;
    }
    std::free(p);
}

void zeroed_blocks_are_zero() {
    for (std::size_t bytes = 33 * kib; bytes < 6 * mib; bytes += bytes / 2) {
        void* dirty = take(bytes);
        std::memset(dirty, 1, bytes);
        std::free(dirty);
        auto* p = static_cast<char*>(std::calloc(bytes, 1));
        require(p && p[0] == 0 && std::memcmp(p, p + 1, bytes - 1) == 0, "calloc() gives zeroes");
        std::free(p);
    }
}

void aligned_blocks_are_aligned() {
    for (std::size_t alignment = 16; alignment <= 4 * mib; alignment *= 2) {
        void* p = aligned_alloc(alignment, 100 * kib);
        require(p && reinterpret_cast<std::size_t>(p) % alignment == 0, "a block is aligned");
        std::memset(p, 1, 100 * kib);
        std::free(p);
    }
}

}  // namespace

int main() {
    sizes_change_and_bytes_stay();
    zeroed_blocks_are_zero();
    aligned_blocks_are_aligned();
    if (!from_regions()) return 0;

    malloc_trim(0);
    const std::size_t before = resident_bytes();
    take_and_free(4 * mib);
    const long after_first = faults();
    for (int i = 0; i < 20; ++i) take_and_free(4 * mib);
    require_at_most(static_cast<std::size_t>(faults() - after_first), 200, "page faults for blocks that were there");
    // Idle for two ticks of 200 ms, which light work performs.
    for (int i = 0; i < 200; ++i) {
        usleep(5000);
        std::free(take(40 * kib));
    }
    require_at_most(resident_bytes(), before + mib, "bytes resident two ticks later");
}

// A process may have some 65 000 mappings. A large heap of which every second 128 KiB are freed has few, so the process
// can still map memory, start threads and allocate blocks of all sizes.
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "program.hpp"

namespace {

using namespace programs;

// Reads without allocating.
std::size_t mappings() {
    static char text[1 << 16];
    const int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    require(file >= 0, "/proc/self/maps can be read");
    std::size_t count = 0;
    for (ssize_t got; (got = read(file, text, sizeof text)) > 0;)
        count += static_cast<std::size_t>(std::count(text, text + got, '\n'));
    close(file);
    return count;
}

void* allocate(void*) { return std::malloc(100); }

}  // namespace

int main() {
    constexpr std::size_t block = 16'384, unit = std::size_t{128} << 10, count = (std::size_t{4} << 30) / block;
    std::vector<void*> blocks(count);  // not touched
    for (void*& p : blocks) {
        p = std::malloc(block);
        require(p, "there is memory");
    }
    std::sort(blocks.begin(), blocks.end());
    for (void*& p : blocks)
        if (reinterpret_cast<std::uintptr_t>(p) / unit % 2) std::free(std::exchange(p, nullptr));
    malloc_trim(0);
    require_at_most(mappings(), 999, "mappings after every second 128 KiB have been freed");

    void* mapped = mmap(nullptr, mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(mapped != MAP_FAILED, "memory can be mapped");
    pthread_t thread;
    void* its;
    require(pthread_create(&thread, nullptr, allocate, nullptr) == 0, "a thread can be started");
    require(pthread_join(thread, &its) == 0 && its, "it has memory");
    for (std::size_t bytes = 16; bytes < 64 * mib; bytes += bytes / 8)
        require(std::malloc(bytes), "there is memory for blocks of all sizes");

    for (void* p : blocks) std::free(p);
    malloc_trim(0);
    require_at_most(mappings(), 999, "mappings at the end");
}

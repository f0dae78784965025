// A program that had a peak, and from then on allocates only what its own magazine serves, returns the peak's memory.
// To be run with a short TIDEPOOL_DECAY_MS.
//
//   hits_drive_ticks full     one block is allocated and freed at full speed
//   hits_drive_ticks light    fifty times every ten milliseconds
//   hits_drive_ticks seldom   twenty times a second
//
// Once after a peak of its own, once after one that eight threads allocated and others freed. It waits without a limit:
// only a watchdog ends it.
#include <time.h>

#include <cstring>
#include <vector>

#include "program.hpp"
#include "threads.hpp"

namespace {

using namespace programs;

constexpr std::size_t peak_bytes = 64 * mib, slack = 16 * mib;

std::vector<void*> allocate(std::size_t bytes) {
    std::vector<void*> blocks;
    for (std::size_t taken = 0, i = 0; taken < bytes; taken += mixed_size(i++)) blocks.push_back(take(mixed_size(i)));
    return blocks;
}

void free_all(std::vector<void*>& blocks) {
    for (void* p : blocks) std::free(p);
    blocks = {};
}

void nap(long milliseconds) {
    const timespec time{0, milliseconds * 1'000'000};
    nanosleep(&time, nullptr);
}

// Hits of one size class, until the memory is back.
void hit_until(std::size_t bound, const char* how) {
    const bool full = std::strcmp(how, "full") == 0, light = std::strcmp(how, "light") == 0;
    const int pairs = full ? 100'000 : light ? 50 : 1;
    while (resident_bytes() > bound) {
        for (int i = 0; i < pairs; ++i) std::free(take(1000));
        if (!full) nap(light ? 10 : 50);
    }
}

}  // namespace

int main(int argc, char** argv) {
    require(argc == 2, "usage: hits_drive_ticks full|light|seldom");
    alarm(200);
    std::free(take(1000));
    const std::size_t before = resident_bytes();
    {
        std::vector<void*> blocks = allocate(peak_bytes);
        free_all(blocks);
    }
    hit_until(before + slack, argv[1]);

    constexpr std::size_t crew = 8;
    std::vector<std::vector<void*>> taken(crew);
    support::on_threads(crew, [&](std::size_t me) { taken[me] = allocate(peak_bytes / crew); });
    support::on_threads(crew, [&](std::size_t me) { free_all(taken[(me + 1) % crew]); });
    hit_until(before + slack, argv[1]);
}

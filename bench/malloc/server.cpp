// A server whose threads come and go: each lane has its part of a table of blocks and one thread at a time, which
// replaces blocks picked at random, then starts its successor, leaves it the table and ends. So a thread frees what a
// thread took that is no more.
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "common/subject.hpp"
#include "malloc/benches.hpp"

namespace bench {

namespace {

constexpr size_range mixed{16, 1040};
constexpr std::uint32_t lane_blocks = 1000;
constexpr std::size_t life = 10'000;  // replacements

struct alignas(128) lane {
    dice random{0};
    std::size_t lives_left = 0;
    std::vector<void*> table = std::vector<void*>(lane_blocks);
};

// Replaced by the lane's threads, one after the other: the start of a thread orders its predecessor's work before it.
void live(lane& mine, std::atomic<unsigned>& lanes_open) {
    for (std::size_t i = 0; i < life; ++i) {
        const std::uint64_t bits = mine.random.roll();
        void*& p = mine.table[scaled(bits >> 32, lane_blocks)];
        std::free(p);
        write_byte(p = std::malloc(mixed.of(bits)));
    }
    if (--mine.lives_left > 0) {
        std::thread(live, std::ref(mine), std::ref(lanes_open)).detach();
    } else {
        --lanes_open;
        lanes_open.notify_one();
    }
}

// All lanes through a number of lives.
void run(std::vector<lane>& lanes, std::size_t lives) {
    // Outlives the detached threads, the last of which may still be in notify_one() when the wait is over.
    static std::atomic<unsigned> lanes_open;
    lanes_open = static_cast<unsigned>(lanes.size());
    for (lane& each : lanes) {
        each.lives_left = lives;
        std::thread(live, std::ref(each), std::ref(lanes_open)).detach();
    }
    for (unsigned open; (open = lanes_open) > 0;) lanes_open.wait(open);
}

}  // namespace

void server(benchmark::State& state, unsigned lane_count) {
    std::vector<lane> lanes(lane_count);
    for (unsigned i = 0; i < lane_count; ++i) {
        lanes[i].random = dice(i + 1);
        for (void*& p : lanes[i].table) write_byte(p = std::malloc(mixed.of(lanes[i].random.roll())));
    }
    run(lanes, 1);
    const auto n = in_steps(state, life);
    while (state.KeepRunningBatch(n)) run(lanes, static_cast<std::size_t>(n) / life);
    count_memory(state);
    for (const lane& each : lanes)
        for (void* p : each.table) std::free(p);
}

}  // namespace bench

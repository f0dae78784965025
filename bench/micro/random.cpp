// Ten thousand live blocks of 16 to 1040 bytes; each step replaces one of them, picked at random, by one of another
// size and writes one byte into it. With two threads each has its own ten thousand.
#include <cstdint>

#include "micro/micro.hpp"
#include "micro/sources.hpp"
#include "support/dice.hpp"

namespace bench {

namespace {

constexpr std::uint32_t live_blocks = 10'000;
constexpr size_range sizes{16, 1040};

struct live_block {
    void* p = nullptr;
    std::size_t bytes = 0;
};

// One thread's blocks, from round to round.
struct alignas(128) live_set {
    std::vector<live_block> blocks{live_blocks};
    dice random{0};
};

void take(std::pmr::memory_resource* resource, live_block& into, std::uint64_t bits) {
    into.bytes = sizes.of(bits);
    into.p = resource->allocate(into.bytes);
    *static_cast<volatile unsigned char*>(into.p) = 1;
}

[[gnu::noinline]] void replace(std::pmr::memory_resource* resource, live_set& live, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t bits = live.random.roll();
        live_block& at = live.blocks[scaled(bits >> 32, live_blocks)];
        resource->deallocate(at.p, at.bytes);
        take(resource, at, bits);
    }
}

// What a subject keeps: the peer, and for each thread its live set.
struct state {
    std::unique_ptr<peer> alive;
    std::pmr::memory_resource* resource;
    std::vector<live_set> live;

    state(std::unique_ptr<peer> who, unsigned threads)
        : alive(std::move(who)), resource(opaque(alive->resource())), live(threads) {}
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state() {
        for (live_set& each : live)
            for (live_block& b : each.blocks)
                if (b.p) resource->deallocate(b.p, b.bytes);
    }

    void run(unsigned thread, std::size_t n) {
        live_set& mine = live[thread];
        if (!mine.blocks[0].p) fill(thread, mine);
        replace(resource, mine, n);
    }

    // In the first call, which is the calibration's.
    void fill(unsigned thread, live_set& mine) {
        mine.random = dice(thread + 1);
        for (live_block& b : mine.blocks) take(resource, b, mine.random.roll());
    }
};

}  // namespace

micro_bench random_bench(unsigned threads) {
    micro_bench bench{"random", threads, 1, {}};
    for (const peer_kind& kind : peers())
        if (threads == 1 || kind.any_thread)
            bench.candidates.push_back({std::string(kind.who), [kind, threads] {
                                            auto kept = std::make_shared<state>(kind.make(), threads);
                                            return subject{
                                                [kept](unsigned thread, std::size_t n) { kept->run(thread, n); }};
                                        }});
    return bench;
}

}  // namespace bench

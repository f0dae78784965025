// The benches of one thread. No other is ever started in these processes, so that a malloc that does without locks as
// long as there is one thread is seen at its best.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "malloc/benches.hpp"
#include "support/escape.hpp"

namespace bench {

namespace {

template <class Work>
double ns_of(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

template <class Work>
measured each_of(std::size_t n, Work work) {
    return {.ns = ns_of([&] { work(n); }) / static_cast<double>(n)};
}

// Its own function, so that bench/instructions finds the loop and nothing else in it.
[[gnu::noinline]] void take_and_give(std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = std::malloc(bytes);
        escape(p);
        std::free(p);
    }
}

constexpr std::size_t batch_blocks = 1000;

void take_and_give_batches(void** blocks, bool in_order, std::size_t n) {
    for (std::size_t done = 0; done < n; done += batch_blocks) {
        for (std::size_t i = 0; i < batch_blocks; ++i) {
            blocks[i] = std::malloc(64);
            escape(blocks[i]);
        }
        for (std::size_t i = 0; i < batch_blocks; ++i) std::free(blocks[in_order ? i : batch_blocks - 1 - i]);
    }
}

void* taken(size_range sizes, std::uint64_t bits) {
    void* p = std::malloc(sizes.of(bits));
    write_byte(p);
    return p;
}

}  // namespace

// One block of the size stays in use, as in a program others of its size would: with none at all mimalloc's page falls
// empty in every pair, which costs it twice the instructions.
measured pairs(std::size_t bytes, std::size_t n) {
    void* other = std::malloc(bytes);
    escape(other);
    take_and_give(bytes, 10'000);
    const measured result = each_of(n, [&](std::size_t count) { take_and_give(bytes, count); });
    std::free(other);
    return result;
}

measured batches(bool in_order, std::size_t n) {
    std::vector<void*> blocks(batch_blocks);
    take_and_give_batches(blocks.data(), in_order, 10 * batch_blocks);
    return each_of(n, [&](std::size_t count) { take_and_give_batches(blocks.data(), in_order, count); });
}

measured replacements(std::size_t n) {
    constexpr std::uint32_t live_blocks = 10'000;
    dice random(1);
    std::vector<void*> blocks(live_blocks);
    for (void*& p : blocks) p = taken(mixed, random.roll());
    const auto replace = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t bits = random.roll();
            void*& p = blocks[scaled(bits >> 32, live_blocks)];
            std::free(p);
            p = taken(mixed, bits);
        }
    };
    replace(5 * live_blocks);
    return each_of(n, replace);
}

// A cycle builds a million small blocks up and takes them down, last first. Nothing warms the first one up: that is
// what a program pays that does it once.
measured up_and_down(std::size_t n) {
    constexpr std::size_t cycle_blocks = 1'000'000;
    constexpr size_range sizes{16, 128};
    std::vector<void*> blocks(cycle_blocks);
    const auto cycle = [&] {
        dice random(1);
        for (void*& p : blocks) p = taken(sizes, random.roll());
        for (std::size_t i = cycle_blocks; i-- > 0;) std::free(blocks[i]);
    };
    const std::size_t cycles = std::max<std::size_t>(1, n / cycle_blocks);
    const double first = ns_of(cycle);
    double all = first;
    for (std::size_t i = 1; i < cycles; ++i) all += ns_of(cycle);
    return {.ns = all / static_cast<double>(cycles * cycle_blocks), .first_ns = first / cycle_blocks};
}

}  // namespace bench

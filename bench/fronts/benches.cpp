#include "fronts/benches.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

namespace bench {

namespace {

constexpr std::uint32_t sizes[] = {16, 64, 256, 1024, 4096, 8192, 16384, 32768};
constexpr std::size_t few_bytes = 4U << 20, many_bytes = 32U << 20;
constexpr std::size_t grow_cycles = 3;

// So many blocks, or fewer where they are large.
std::size_t bounded(std::size_t blocks, std::size_t bytes_max, std::size_t block_bytes) {
    return std::min(blocks, bytes_max / block_bytes);
}

std::vector<front_bench> made() {
    std::vector<front_bench> all;
    const auto add = [&](front_work work, unsigned threads, size_range range, std::size_t blocks, std::size_t step) {
        all.push_back({fmt::format("front-{}-{}", name_of(work), range.most), work, threads, range, blocks, step});
    };
    for (const std::uint32_t bytes : sizes) add(front_work::pair, 1, {bytes, bytes}, 1, 1000);
    for (const std::uint32_t bytes : sizes) {
        const std::size_t blocks = bounded(1000, few_bytes, bytes);
        add(front_work::batch, 1, {bytes, bytes}, blocks, 2 * blocks);
    }
    add(front_work::random, 1, {16, 1040}, 10'000, 1000);
    add(front_work::random, 1, {1024, 32768}, 1000, 1000);
    for (const std::uint32_t bytes : sizes) {
        const std::size_t blocks = bounded(500'000, many_bytes, bytes);
        add(front_work::grow, 1, {bytes, bytes}, blocks, grow_cycles * blocks);
    }
    for (const std::uint32_t bytes : sizes)
        add(front_work::handoff, 2, {bytes, bytes}, bounded(4096, few_bytes, bytes), 1000);
    return all;
}

}  // namespace

const char* name_of(front_work work) {
    constexpr const char* names[] = {"pair", "batch", "random", "grow", "handoff"};
    return names[static_cast<unsigned>(work)];
}

const std::vector<front_bench>& front_benches() {
    static const std::vector<front_bench> all = made();
    return all;
}

const std::vector<front_library>& front_libraries() {
    static const std::vector<front_library> all{
        {"mimalloc", "pool over mimalloc", "mimalloc", "mimalloc_resource"},
        {"jemalloc", "pool over jemalloc", "jemalloc", "jemalloc_resource"},
    };
    return all;
}

}  // namespace bench

// How much memory a pool takes: unused, in use, and after its blocks have decayed.
#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <tidepool/block_pool.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "calm.hpp"
#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "scale.hpp"
#include "setups.hpp"

namespace {

using namespace conformance;
using tidepool::pool_resource;

// A sanitizer's shadow and quarantine count as resident memory and hide what is measured.
constexpr bool weighable = !support::under_asan && !support::under_tsan;

// Counted page by page: the totals of statm lag behind by dozens of pages for each processor.
std::size_t resident_bytes() {
    std::ifstream counted("/proc/self/smaps_rollup");
    for (std::string word; counted >> word;) {
        std::size_t kib = 0;
        if (word == "Rss:" && counted >> kib) return kib * 1024;
    }
    FAIL("no Rss in smaps_rollup");
    return 0;
}

std::size_t malloced_bytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

// Constructs many pools without using them and returns the bytes that each took: the object itself, memory from malloc,
// and, judged by the size of the process, memory from elsewhere.
template <class Pool>
std::size_t weight_of_unused() {
    constexpr std::size_t count = 400;
    std::vector<std::unique_ptr<Pool>> pools;
    pools.reserve(count);
    const std::size_t malloced = malloced_bytes(), resident = resident_bytes();
    for (std::size_t i = 0; i < count; ++i) pools.push_back(std::make_unique<Pool>());
    const std::size_t from_malloc = (malloced_bytes() - malloced) / count;
    // The process may even shrink, if earlier pools left enough memory.
    const std::size_t from_anywhere = (std::max(resident_bytes(), resident) - resident) / count;
    CHECK(from_malloc >= sizeof(Pool));  // otherwise nothing was measured
    return std::max(from_malloc, from_anywhere);
}

TEST_CASE("a pool that is constructed and never used holds less than 4 KiB" * doctest::skip(!weighable)) {
    struct sized_pool : tidepool::block_pool {
        sized_pool() : block_pool(64) {}
    };
    CHECK(weight_of_unused<pool_resource>() < 4096);
    CHECK(weight_of_unused<sized_pool>() < 4096);
    CHECK(weight_of_unused<tidepool::object_pool<int>>() < 4096);
}

TEST_CASE("a block wastes at most an eighth, and below 128 bytes at most 15 bytes") {
    const support::calm quiet;
    pool_resource pool(hand_ticked());
    std::vector<std::size_t> sizes;
    for (std::size_t bytes = 1; bytes <= 1100; ++bytes) sizes.push_back(bytes);
    for (std::uint32_t c = 0; c + 1 < tidepool::detail::size_class_count; ++c)
        sizes.push_back(tidepool::detail::size_class_bytes(c) + 1);  // the request with the most waste
    for (const std::size_t bytes : sizes) {
        CAPTURE(bytes);
        void* block = pool.allocate(bytes);
        const std::uint64_t taken = pool.stats().bytes_in_use;
        pool.deallocate(block, bytes);
        CHECK(taken >= bytes);
        CHECK(taken - bytes <= (bytes < 128 ? 15 : bytes / 8));
    }
}

TEST_CASE("over mmap, decayed memory has left the process" * doctest::skip(!weighable)) {
    constexpr std::size_t bytes_total = 64 << 20;
    pool_resource pool(hand_ticked());
    std::vector<std::pair<void*, std::size_t>> blocks;
    blocks.reserve(bytes_total / 1024);
    const std::size_t before = resident_bytes();
    std::size_t taken = 0;
    for (std::size_t i = 0; taken < bytes_total; ++i) {
        const std::size_t bytes = std::size_t{512} << i % 5;  // 512 B to 8 KiB
        blocks.emplace_back(pool.allocate(bytes), bytes);
        std::memset(blocks.back().first, 1, bytes);
        taken += bytes;
    }
    CHECK(resident_bytes() > before + bytes_total / 2);
    for (const auto& [p, bytes] : blocks) pool.deallocate(p, bytes);
    pool.tick();
    pool.tick();
    CHECK(pool.stats().upstream_bytes == 0);
    CHECK(resident_bytes() < before + bytes_total / 10);
}

TEST_CASE("large blocks leave the process when they are deallocated" * doctest::skip(!weighable)) {
    constexpr std::size_t bytes = 32 << 20;
    pool_resource pool(hand_ticked());
    const std::size_t before = resident_bytes();
    void* large = pool.allocate(bytes);
    std::memset(large, 1, bytes);
    CHECK(resident_bytes() > before + bytes / 2);
    pool.deallocate(large, bytes);
    CHECK(resident_bytes() < before + bytes / 10);
}

}  // namespace

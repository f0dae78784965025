// Options of a pool: honoured and reported, clamped if the standard calls them hints, and rejected otherwise.
#include <tidepool/options.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <vector>

#include <tidepool/block_pool.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "counting_upstream.hpp"
#include "held_blocks.hpp"

namespace {

using namespace std::chrono_literals;
using conformance::is_aligned;
using tidepool::block_pool;
using tidepool::object_pool_options;
using tidepool::pool_options;
using tidepool::pool_resource;

constexpr std::size_t size_max = std::numeric_limits<std::size_t>::max();

// The message of the std::invalid_argument that `make` throws; empty if it throws none.
template <class Make>
std::string refusal(Make make) {
    try {
        make();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

void check_names(const std::string& said, const std::vector<std::string>& words) {
    CAPTURE(said);
    for (const std::string& word : words) {
        CAPTURE(word);
        CHECK(said.find(word) != std::string::npos);
    }
}

TEST_CASE("the default options take effect and are reported by options()") {
    const pool_options shown = pool_resource().options();
    CHECK(shown.max_blocks_per_chunk == 256);
    CHECK(shown.largest_required_pool_block == 32'768);
    CHECK(shown.magazine_bytes_max == 128 * 1024);
    CHECK(shown.local_bytes_max == 4 * 1024 * 1024);
    CHECK(shown.decay_interval == 1000ms);
    CHECK(shown.source == tidepool::block_source::spans);

    const object_pool_options objects = tidepool::object_pool<int>().options();
    CHECK(objects.magazine_capacity == 64);
    CHECK(tidepool::object_pool<std::array<char, 5000>>().options().magazine_capacity == 13);
    CHECK(tidepool::object_pool<std::array<char, 100'000>>().options().magazine_capacity == 1);
    CHECK(objects.local_objects_max == size_max);
    CHECK(objects.decay_interval == 1000ms);
}

// A value, and what options() reports for it.
struct hint {
    std::size_t given, shown;
};

TEST_CASE("max_blocks_per_chunk is clamped and reported") {
    for (const hint& each : std::vector<hint>{{0, 256}, {1, 1}, {7, 7}, {256, 256}, {257, 256}, {size_max, 256}}) {
        CAPTURE(each.given);
        const pool_options options{.max_blocks_per_chunk = each.given};
        CHECK(pool_resource(options).options().max_blocks_per_chunk == each.shown);
        CHECK(pool_resource(std::pmr::pool_options{each.given, 0}).options().max_blocks_per_chunk == each.shown);
        CHECK(block_pool(64, 16, options).options().max_blocks_per_chunk == each.shown);
    }
}

TEST_CASE("largest_required_pool_block is clamped, rounded up and reported") {
    const std::vector<hint> hints{{0, 32'768},  {1, 16},      {16, 16},         {17, 32},         {129, 144},
                                  {1000, 1024}, {1025, 1152}, {32'768, 32'768}, {32'769, 32'768}, {size_max, 32'768}};
    for (const hint& each : hints) {
        CAPTURE(each.given);
        const pool_resource ours(pool_options{.largest_required_pool_block = each.given});
        CHECK(ours.options().largest_required_pool_block == each.shown);
        const pool_resource standard(std::pmr::pool_options{0, each.given});
        CHECK(standard.options().largest_required_pool_block == each.shown);
    }
}

TEST_CASE("requests above largest_required_pool_block are not pooled") {
    for (std::uint32_t c = 0; c < tidepool::detail::size_class_count; c += 7) {
        const std::size_t limit = tidepool::detail::size_class_bytes(c);
        CAPTURE(limit);
        pool_resource pool(pool_options{.largest_required_pool_block = limit});
        void* pooled = pool.allocate(limit);
        CHECK(pool.stats().blocks_in_use == 1);
        CHECK(pool.stats().large_blocks == 0);
        void* large = pool.allocate(limit + 1);
        CHECK(pool.stats().blocks_in_use == 1);
        CHECK(pool.stats().large_blocks == 1);
        CHECK(pool.stats().large_bytes == limit + 1);
        pool.deallocate(pooled, limit);
        pool.deallocate(large, limit + 1);
        CHECK(pool.stats().blocks_in_use == 0);
        CHECK(pool.stats().large_blocks == 0);
    }
}

TEST_CASE("a pool limited to blocks of 16 bytes still serves every request") {
    pool_resource pool(pool_options{.max_blocks_per_chunk = 1, .largest_required_pool_block = 1});
    conformance::held_blocks held;
    for (std::size_t bytes = 0; bytes < 5000; bytes += 7)
        for (std::size_t alignment = 1; alignment <= 64; alignment *= 2) held.take(pool, bytes, alignment);
    held.give_back(pool);
}

TEST_CASE("a refill takes at most max_blocks_per_chunk blocks from the upstream") {
    support::counting_upstream upstream;
    pool_resource pool(pool_options{.max_blocks_per_chunk = 5, .source = tidepool::block_source::direct}, upstream);
    void* block = pool.allocate(64);
    CHECK(upstream.counted().calls >= 1);
    CHECK(upstream.counted().calls <= 5);
    pool.deallocate(block, 64);
}

TEST_CASE("the exception for a bad option has its name, value and allowed range") {
    const std::string day = "86400000";
    struct refused {
        pool_options options;
        std::vector<std::string> words;
    };
    const std::vector<refused> all{
        {{.magazine_bytes_max = 0}, {"magazine_bytes_max", "0", "1", "16777216"}},
        {{.magazine_bytes_max = 16'777'217}, {"magazine_bytes_max", "16777217", "16777216"}},
        {{.magazine_bytes_max = size_max}, {"magazine_bytes_max", std::to_string(size_max), "16777216"}},
        {{.decay_interval = -1ms}, {"decay_interval", "-1", "0", day}},
        {{.decay_interval = 24h + 1ms}, {"decay_interval", "86400001", day}},
        {{.source = static_cast<tidepool::block_source>(7)}, {"source", "7"}},
    };
    for (const refused& each : all) {
        check_names(refusal([&] { pool_resource pool(each.options); }), each.words);
        check_names(refusal([&] { block_pool pool(64, 16, each.options); }), each.words);
    }
}

TEST_CASE("both ends of each option's range are accepted") {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{16} << 20U}) {
        pool_resource pool(pool_options{.magazine_bytes_max = bytes});
        CHECK(pool.options().magazine_bytes_max == bytes);
    }
    for (const std::size_t bytes : {std::size_t{0}, size_max}) {
        pool_resource pool(pool_options{.local_bytes_max = bytes});
        CHECK(pool.options().local_bytes_max == bytes);
        conformance::held_blocks held;
        for (int i = 0; i < 2000; ++i) held.take(pool, 64);
        held.give_back(pool);
    }
    for (const auto interval : {0ms, std::chrono::milliseconds(24h)})
        CHECK(pool_resource(pool_options{.decay_interval = interval}).options().decay_interval == interval);
    for (const std::size_t capacity : {1U, 256U}) {
        tidepool::object_pool<int> pool({}, {}, {.magazine_capacity = capacity});
        CHECK(pool.options().magazine_capacity == capacity);
    }
}

TEST_CASE("object_pool reports a bad option by name, value and allowed range") {
    const auto refused = [](const object_pool_options& options) {
        return refusal([&] { tidepool::object_pool<int> pool({}, {}, options); });
    };
    check_names(refused({.magazine_capacity = 257}), {"magazine_capacity", "257", "0", "256"});
    check_names(refused({.decay_interval = -1000ms}), {"decay_interval", "-1000", "0", "86400000"});
    check_names(refused({.decay_interval = 25h}), {"decay_interval", "90000000", "86400000"});
}

TEST_CASE("block_pool reports a bad size or alignment by name, value and allowed range") {
    const auto refused = [](std::size_t bytes, std::size_t alignment) {
        return refusal([&] { block_pool pool(bytes, alignment); });
    };
    check_names(refused(0, 16), {"block_bytes", "0", "1", "1048576"});
    check_names(refused(1'048'577, 16), {"block_bytes", "1048577", "1048576"});
    check_names(refused(size_max, 16), {"block_bytes", std::to_string(size_max), "1048576"});
    for (const std::size_t alignment : {std::size_t{0}, std::size_t{3}, std::size_t{24}, std::size_t{8192}, size_max}) {
        CAPTURE(alignment);
        check_names(refused(64, alignment), {"alignment", std::to_string(alignment), "4096"});
    }
    for (const std::size_t bytes : {1U, 1'048'576U}) {
        block_pool pool(bytes, 4096);
        void* block = pool.allocate();
        CHECK(is_aligned(block, 4096));
        pool.deallocate(block);
    }
}

TEST_CASE("a null memory resource is rejected") {
    std::pmr::memory_resource* none = nullptr;
    CHECK_THROWS_AS(pool_resource{none}, std::invalid_argument);
    CHECK_THROWS_AS(tidepool::upstream{none}, std::invalid_argument);
}

TEST_CASE("a rejected option makes no upstream call") {
    support::counting_upstream upstream;
    CHECK_THROWS_AS(pool_resource(pool_options{.magazine_bytes_max = 0}, upstream), std::invalid_argument);
    CHECK_THROWS_AS(block_pool(0, 16, {}, upstream), std::invalid_argument);
    CHECK(upstream.counted().calls == 0);
}

}  // namespace

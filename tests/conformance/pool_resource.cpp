// pool_resource as a std::pmr::memory_resource: what it allocates, what it passes on, and what it is equal to.
#include <tidepool/pool_resource.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tidepool/block_pool.hpp>
#include <tidepool/detail/size_classes.hpp>

#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "setups.hpp"

namespace {

using namespace conformance;
using support::counting_resource;
using support::counting_upstream;
using tidepool::pool_resource;

// Sizes from 0 to 64 KiB: all up to 1100, then both sides of every class limit, then steps of about a page.
std::vector<std::size_t> sizes() {
    std::vector<std::size_t> all;
    for (std::size_t bytes = 0; bytes <= 1100; ++bytes) all.push_back(bytes);
    for (std::uint32_t c = 0; c < tidepool::detail::size_class_count; ++c)
        if (const std::size_t limit = tidepool::detail::size_class_bytes(c); limit > 1100)
            all.insert(all.end(), {limit - 1, limit, limit + 1});
    for (std::size_t bytes = 36'000; bytes < 65'536; bytes += 4'099) all.push_back(bytes);
    all.push_back(65'536);
    return all;
}

// An upstream that records its requests. For one thread.
struct recording_upstream {
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        asked.emplace_back(bytes, alignment);
        return books.allocate(bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        books.deallocate(p, bytes, alignment);
    }

    counting_upstream books;
    std::vector<std::pair<std::size_t, std::size_t>> asked;
};

TEST_CASE("blocks up to 64 KiB at alignments up to 4096 are aligned and distinct") {
    const std::vector<std::size_t> all_sizes = sizes();
    for (const setup& each : every_setup()) {
        CAPTURE(each.name);
        pool_resource pool(hand_ticked(each.source), each.from);
        for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
            held_blocks held;
            for (const std::size_t bytes : all_sizes) held.take(pool, bytes, alignment);
            held.give_back(pool);
        }
        CHECK(pool.stats().blocks_in_use == 0);
        CHECK(pool.stats().large_blocks == 0);
    }
}

TEST_CASE("blocks of one size are distinct, also when they are reused") {
    for (const setup& each : every_setup()) {
        CAPTURE(each.name);
        pool_resource pool(hand_ticked(each.source), each.from);
        for (int round = 0; round < 3; ++round)
            for (const std::size_t bytes : {0U, 16U, 24U, 4096U, 32'768U}) {
                held_blocks held;
                for (int i = 0; i < 300; ++i) held.take(pool, bytes);
                held.give_back(pool);
            }
    }
}

TEST_CASE("requests of zero bytes return distinct blocks") {
    counting_upstream upstream;
    {
        pool_resource pool(hand_ticked(), upstream);
        held_blocks held;
        for (std::size_t alignment = 1; alignment <= 65'536; alignment *= 2)
            for (int i = 0; i < 3; ++i) held.take(pool, 0, alignment);
        held.give_back(pool);
    }
    CHECK(upstream.balanced());
}

TEST_CASE("large requests reach the upstream with their own size and alignment") {
    using request = std::pair<std::size_t, std::size_t>;
    const std::vector<request> requests{{32'769, 1},       {32'769, 16},     {40'000, 64},    {1'000'003, 4096},
                                        {1, 8192},         {64, 8192},       {8192, 8192},    {100'000, 8192},
                                        {100, 1UL << 20U}, {30'000, 65'536}, {32'768, 16'384}};
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        recording_upstream upstream;
        pool_resource pool(hand_ticked(source), upstream);
        held_blocks held;
        for (const request& each : requests) {
            held.take(pool, each.first, each.second);
            REQUIRE_FALSE(upstream.asked.empty());
            CHECK(upstream.asked.back() == each);
        }
        CHECK(upstream.asked == requests);
        CHECK(upstream.books.counted().blocks_live == requests.size());
        held.give_back(pool);
        CHECK(upstream.books.balanced());
    }
}

TEST_CASE("requests above largest_required_pool_block reach the upstream unchanged") {
    tidepool::pool_options options = hand_ticked();
    options.largest_required_pool_block = 1024;
    recording_upstream upstream;
    pool_resource pool(options, upstream);
    held_blocks held;
    held.take(pool, 1025);
    CHECK(upstream.asked == std::vector<std::pair<std::size_t, std::size_t>>{{1025, alignof(std::max_align_t)}});
    held.take(pool, 1024);
    REQUIRE(upstream.asked.size() == 2);
    CHECK(upstream.asked.back().first > 1024);  // a span
    CHECK(pool.stats().large_blocks == 1);
    CHECK(pool.stats().blocks_in_use == 1);
    held.give_back(pool);
}

TEST_CASE("each block of a direct pool is one upstream allocation") {
    recording_upstream upstream;
    {
        pool_resource pool(hand_ticked(tidepool::block_source::direct), upstream);
        held_blocks held;
        for (int i = 0; i < 1000; ++i) held.take(pool, 64);
        CHECK(upstream.books.counted().blocks_live >= 1000);
        for (const auto& [bytes, alignment] : upstream.asked) {
            CHECK(bytes == 64);
            CHECK(alignment >= alignof(std::max_align_t));
        }
        CHECK(upstream.books.counted().bytes_live() == pool.stats().upstream_bytes);
        held.give_back(pool);
    }
    CHECK(upstream.books.balanced());
}

TEST_CASE("a pool compares equal to itself only") {
    pool_resource one, other;
    CHECK(one == one);
    CHECK(one.is_equal(one));
    CHECK(one != other);
    CHECK_FALSE(one.is_equal(*std::pmr::new_delete_resource()));
    pool_resource above(&one);
    CHECK(above != one);
}

TEST_CASE("a resource derived from pool_resource can intercept every call") {
    class observed final : public pool_resource {
    public:
        using pool_resource::pool_resource;
        int allocated = 0, deallocated = 0;

    private:
        void* do_allocate(std::size_t bytes, std::size_t alignment) override {
            ++allocated;
            return pool_resource::do_allocate(bytes, alignment);
        }
        void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
            ++deallocated;
            pool_resource::do_deallocate(p, bytes, alignment);
        }
    };
    observed pool(hand_ticked());
    {
        std::pmr::vector<std::pmr::string> words(&pool);
        words.reserve(3);
        for (int i = 0; i < 3; ++i) words.emplace_back("a word that is too long for the string itself");
        CHECK(pool.allocated == 4);
    }
    CHECK(pool.deallocated == 4);
}

TEST_CASE("an unused pool makes no upstream call") {
    counting_upstream upstream;
    {
        pool_resource pool(upstream);
        CHECK(pool.stats() == tidepool::stats{});
        CHECK(pool.trim() == 0);
        pool.release();
        pool.tick();
    }
    CHECK(upstream.counted().calls == 0);
    CHECK(upstream.counted().returns == 0);
}

TEST_CASE("braces are options, also those of the standard") {
    std::pmr::monotonic_buffer_resource from;
    const pool_resource positional({16, 64}, &from), designated({.max_blocks_per_chunk = 16}), none({}, &from);
    CHECK(positional.options().max_blocks_per_chunk == 16);
    CHECK(positional.options().largest_required_pool_block == 64);
    CHECK(positional.upstream_resource() == &from);
    CHECK(designated.options().max_blocks_per_chunk == 16);
    CHECK(none.options() == pool_resource().options());
    CHECK_FALSE(positional.options() == none.options());

    const std::pmr::pool_options standard = positional.options();
    CHECK(standard.max_blocks_per_chunk == 16);
    CHECK(standard.largest_required_pool_block == 64);
    CHECK(pool_resource(standard, &from).options() == positional.options());
    CHECK(pool_resource(std::pmr::pool_options{.max_blocks_per_chunk = 16}).options() == designated.options());
}

TEST_CASE("what an upstream throws reaches the caller as it was thrown") {
    struct no_more : std::runtime_error {
        using std::runtime_error::runtime_error;
    };
    struct : std::pmr::memory_resource {
        void* do_allocate(std::size_t bytes, std::size_t alignment) override {
            if (failing) throw no_more("of " + std::to_string(bytes));
            return std::pmr::new_delete_resource()->allocate(bytes, alignment);
        }
        void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
            std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
        }
        bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
        bool failing = true;
    } from;
    pool_resource pool(&from);
    CHECK_THROWS_AS(static_cast<void>(pool.allocate(64)), no_more);
    CHECK_THROWS_WITH(static_cast<void>(pool.allocate(100'000)), "of 100000");
    tidepool::block_pool blocks(64, 16, {}, &from);
    CHECK_THROWS_AS(static_cast<void>(blocks.allocate()), no_more);

    from.failing = false;
    pool.deallocate(pool.allocate(64), 64);
    // No request of the upstream any more, so nothing that it has thrown.
    const volatile std::size_t too_much = SIZE_MAX;
    CHECK_THROWS_AS(static_cast<void>(pool.allocate(too_much, 1)), std::bad_alloc);
}

TEST_CASE("upstream() returns the upstream that was given") {
    counting_resource resource;
    pool_resource over_resource(&resource);
    CHECK(over_resource.upstream_resource() == &resource);
    CHECK(over_resource.upstream().resource() == &resource);

    counting_upstream upstream;
    pool_resource over_upstream(upstream);
    std::pmr::memory_resource* does_the_same = over_upstream.upstream_resource();
    REQUIRE(does_the_same);
    does_the_same->deallocate(does_the_same->allocate(100, 64), 100, 64);
    CHECK(upstream.counted().calls == 1);
    CHECK(upstream.counted().returns == 1);
    CHECK(does_the_same->is_equal(*pool_resource(upstream).upstream_resource()));
    CHECK_FALSE(does_the_same->is_equal(resource));
    CHECK(std::string(over_upstream.upstream().name()) == "counting");

    pool_resource by_default;
    REQUIRE(by_default.upstream_resource());
    CHECK_FALSE(by_default.upstream_resource()->is_equal(*does_the_same));
    const volatile std::size_t too_much = SIZE_MAX / 4;
    CHECK_THROWS_AS(static_cast<void>(by_default.upstream_resource()->allocate(too_much)), std::bad_alloc);
    CHECK(std::string(by_default.upstream().name()) == tidepool::pages_upstream().name());
}

TEST_CASE("a pool can be the upstream of another pool") {
    counting_upstream upstream;
    {
        pool_resource below(hand_ticked(), upstream);
        pool_resource above(hand_ticked(), &below);
        held_blocks held;
        for (std::size_t bytes = 1; bytes < 100'000; bytes = bytes * 5 / 4 + 1) held.take(above, bytes);
        held.give_back(above);
        above.release();
        CHECK(below.stats().large_blocks == 0);
        CHECK(below.stats().blocks_in_use == 0);
    }
    CHECK(upstream.balanced());
}

TEST_CASE("deallocating a null pointer does nothing") {
    // Calls do_deallocate(), since libstdc++ declares that deallocate() is never given a null pointer.
    struct opened : pool_resource {
        using pool_resource::do_deallocate;
    } pool;
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{64}, std::size_t{40'000}, std::numeric_limits<std::size_t>::max()})
        for (const std::size_t alignment : {1U, 16U, 4096U, 8192U}) pool.do_deallocate(nullptr, bytes, alignment);
    CHECK(pool.stats() == tidepool::stats{});
}

TEST_CASE("impossible sizes throw bad_alloc and leave the pool unchanged") {
    counting_resource resource;
    const std::vector<tidepool::upstream> upstreams{tidepool::pages_upstream(), tidepool::libc_upstream(), &resource};
    // Volatile, since the compiler would warn about a constant.
    volatile std::size_t size_max = std::numeric_limits<std::size_t>::max();
    const std::size_t largest = size_max;
    for (const tidepool::upstream& from : upstreams) {
        CAPTURE(from.name());
        pool_resource pool(hand_ticked(), from);
        for (const std::size_t bytes :
             {largest, largest - 1, largest - 4095, largest - 65'536, largest / 2 + 1, largest / 2, largest / 2 - 4096})
            for (std::size_t alignment = 1; alignment <= 1UL << 20U; alignment *= 4) {
                CAPTURE(bytes);
                CAPTURE(alignment);
                void* p = nullptr;
                CHECK_THROWS_AS(p = pool.allocate(bytes, alignment), std::bad_alloc);
                CHECK(p == nullptr);
            }
        CHECK(pool.stats().large_blocks == 0);
        CHECK(pool.stats().upstream_bytes == 0);
        held_blocks held;
        held.take(pool, 64);
        held.take(pool, 64'000);
        held.give_back(pool);
    }
}

}  // namespace

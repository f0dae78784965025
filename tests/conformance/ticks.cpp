// Decay as the program sees it: what a tick returns, what it keeps, who notices that one is due, and trim.
#include <tidepool/tick.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/block_pool.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "calm.hpp"
#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "reach.hpp"
#include "setups.hpp"
#include "worker.hpp"

namespace {

using namespace conformance;
using namespace std::chrono_literals;
using support::counting_upstream;
using tidepool::block_source;
using tidepool::pool_resource;

// Leaves `count` blocks of `bytes` bytes idle in the calling thread's local.
void stock(std::pmr::memory_resource& pool, int count, std::size_t bytes) {
    held_blocks held;
    for (int i = 0; i < count; ++i) held.take(pool, bytes);
    held.give_back(pool);
}

TEST_CASE("idle stock survives one tick and is upstream after two") {
    const support::calm quiet;
    for (const auto source : {block_source::spans, block_source::direct}) {
        counting_upstream upstream;
        tidepool::pool_options roomy = hand_ticked(source);
        roomy.local_bytes_max = std::size_t{64} << 20U;  // so that nothing is spilled
        pool_resource pool(roomy, upstream);
        for (const std::size_t bytes : {16U, 64U, 1000U, 32'768U}) stock(pool, 300, bytes);
        const auto before = upstream.counted();
        pool.tick();
        CHECK(upstream.counted().bytes_live() == before.bytes_live());
        for (const std::size_t bytes : {16U, 64U, 1000U, 32'768U}) stock(pool, 300, bytes);
        CHECK(upstream.counted().calls == before.calls);
        pool.tick();
        CHECK(upstream.counted().bytes_live() == before.bytes_live());
        pool.tick();
        CHECK(upstream.balanced());
        CHECK(pool.stats().blocks_cached == 0);
        CHECK(pool.stats().ticks == 3);
    }
}

TEST_CASE("ticks leave blocks in use untouched") {
    counting_upstream upstream;
    pool_resource pool(hand_ticked(), upstream);
    held_blocks held;
    for (std::size_t bytes = 1; bytes < 50'000; bytes = bytes * 5 / 4 + 1) {
        held.take(pool, bytes);
        stock(pool, 100, bytes);
    }
    for (int i = 0; i < 5; ++i) pool.tick();
    CHECK(pool.stats().blocks_cached == 0);
    CHECK(pool.stats().blocks_in_use + pool.stats().large_blocks == held.blocks().size());
    stock(pool, 1000, 64);
    held.give_back(pool);
}

TEST_CASE("a thread that uses a class keeps at most two idle magazines of it") {
    pool_resource pool(hand_ticked());
    stock(pool, 10'000, 64);
    for (int i = 0; i < 5; ++i) {
        stock(pool, 1, 64);
        pool.tick();
    }
    stock(pool, 1, 64);
    CHECK(pool.stats().blocks_cached <= 2 * pool.options().max_blocks_per_chunk);
}

TEST_CASE("tick() ages every pool of the process") {
    const support::calm quiet;
    counting_upstream upstream;
    pool_resource one(hand_ticked(), upstream), other(hand_ticked(block_source::direct), upstream);
    tidepool::block_pool blocks(100, 16, hand_ticked(), upstream);
    tidepool::object_pool<int> objects({}, {}, hand_ticked_objects());
    tidepool::allocator<double> of_default;

    stock(one, 100, 64);
    stock(other, 100, 64);
    blocks.deallocate(blocks.allocate());
    objects.put(objects.get());
    of_default.deallocate(of_default.allocate(1), 1);
    for (int i = 0; i < 2; ++i) tidepool::tick();

    for (const tidepool::stats& now : {one.stats(), other.stats(), blocks.stats(), objects.stats()}) {
        CHECK(now.ticks == 2);
        CHECK(now.blocks_cached == 0);
    }
    CHECK(tidepool::default_pool().stats().blocks_cached == 0);
    CHECK(upstream.balanced());
}

TEST_CASE("a pool with a decay interval of zero ages only by explicit ticks") {
    pool_resource pool(hand_ticked());
    for (int i = 0; i < 100; ++i) stock(pool, 1000, 64);
    CHECK(pool.stats().ticks == 0);
}

TEST_CASE("allocation alone ticks the pool itself and pools that nobody touches") {
    counting_upstream upstream, untouched_upstream;
    const tidepool::pool_options hasty{.decay_interval = 1ms};
    pool_resource pool(hasty, upstream), untouched(hasty, untouched_upstream);
    stock(untouched, 3000, 1024);
    stock(pool, 3000, 1024);
    const std::uint64_t stocked = upstream.counted().bytes_peak;
    REQUIRE(stocked >= 3000 * 1024);
    // This takes milliseconds; the minute allows for a busy machine.
    const auto patience = std::chrono::steady_clock::now() + 1min;
    while (upstream.counted().bytes_live() > stocked / 10 || untouched_upstream.counted().bytes_live() > 0) {
        stock(pool, 1000, 64);
        REQUIRE(std::chrono::steady_clock::now() < patience);
    }
    CHECK(pool.stats().ticks >= 2);
    CHECK(untouched.stats().ticks >= 2);
}

TEST_CASE("trim returns idle memory of running, sleeping and exited threads") {
    if (!support::others_in_reach()) return;
    for (const auto source : {block_source::spans, block_source::direct}) {
        counting_upstream upstream;
        pool_resource pool(hand_ticked(source), upstream);
        support::worker sleeper;
        const auto stock_up = [&] {
            for (const std::size_t bytes : {16U, 64U, 1000U, 32'768U}) stock(pool, 300, bytes);
        };
        stock_up();
        sleeper.run(stock_up);
        support::worker().run(stock_up);
        const std::uint64_t cached = pool.stats().bytes_cached;
        CHECK(pool.trim() == cached);
        CHECK(pool.stats().bytes_cached == 0);
        CHECK(upstream.balanced());
        CHECK(pool.trim() == 0);
    }
}

TEST_CASE("trim keeps the requested bytes, to within a thread's two magazines") {
    const support::calm quiet;
    counting_upstream upstream;
    pool_resource pool(hand_ticked(), upstream);
    for (const std::size_t bytes : {16U, 64U, 1024U, 8192U}) stock(pool, 500, bytes);
    const std::uint64_t cached = pool.stats().bytes_cached;
    CHECK(pool.trim(std::numeric_limits<std::size_t>::max()) == 0);
    CHECK(pool.trim(cached) == 0);
    CHECK(pool.stats().bytes_cached == cached);
    for (std::uint64_t keep = cached * 3 / 4; keep > 0; keep /= 3) {
        CAPTURE(keep);
        const std::uint64_t had = pool.stats().bytes_cached;
        const std::uint64_t given = pool.trim(keep);
        const std::uint64_t left = pool.stats().bytes_cached;
        CHECK(left <= keep);
        CHECK(left + 2 * pool.options().magazine_bytes_max >= std::min(keep, had));
        CHECK(given == had - left);
    }
}

TEST_CASE("trim leaves blocks in use untouched") {
    pool_resource pool(hand_ticked());
    held_blocks held;
    for (int i = 0; i < 1000; ++i) held.take(pool, 64);
    stock(pool, 1000, 64);
    pool.trim();
    CHECK(pool.stats().blocks_in_use == 1000);
    stock(pool, 1000, 64);
    held.give_back(pool);
}

}  // namespace

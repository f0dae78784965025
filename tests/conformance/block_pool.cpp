// block_pool: blocks of one size, which need not be the size of a size class.
#include <tidepool/block_pool.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "setups.hpp"
#include "worker.hpp"

namespace {

using namespace conformance;
using support::counting_upstream;
using tidepool::block_pool;

struct shape {
    std::size_t bytes, alignment;
};

TEST_CASE("blocks of every size and alignment are aligned, distinct and fully usable") {
    const std::vector<shape> shapes{{1, 1},       {8, 8},       {16, 16},       {17, 1},           {100, 16},
                                    {100, 64},    {1000, 8},    {3000, 4096},   {4096, 4096},      {5000, 128},
                                    {33'333, 16}, {65'536, 64}, {70'000, 4096}, {1'048'576, 4096}, {1'000'001, 1}};
    for (const setup& each : every_setup())
        for (const shape& wanted : shapes) {
            CAPTURE(each.name);
            CAPTURE(wanted.bytes);
            CAPTURE(wanted.alignment);
            block_pool pool(wanted.bytes, wanted.alignment, hand_ticked(each.source), each.from);
            CHECK(pool.block_bytes() >= wanted.bytes);
            CHECK(pool.block_bytes() < wanted.bytes + std::max<std::size_t>(16, wanted.alignment));
            CHECK(pool.block_bytes() % 16 == 0);
            CHECK(pool.block_bytes() % wanted.alignment == 0);
            const int count = wanted.bytes > 10'000 ? 30 : 700;
            for (int round = 0; round < 2; ++round) {
                held_blocks held;
                // The program may use all of block_bytes().
                for (int i = 0; i < count; ++i) held.hold(pool.allocate(), pool.block_bytes(), wanted.alignment);
                CHECK(pool.stats().blocks_in_use == static_cast<std::size_t>(count));
                CHECK(pool.stats().bytes_in_use == static_cast<std::size_t>(count) * pool.block_bytes());
                held.give_back_with([&](const held_blocks::block& b) { pool.deallocate(b.p); });
            }
            CHECK(pool.stats().blocks_in_use == 0);
        }
}

TEST_CASE("a block pool allocates nothing before use and returns everything at its end") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        counting_upstream upstream;
        {
            block_pool pool(100, 16, hand_ticked(source), upstream);
            CHECK(pool.stats() == tidepool::stats{});
            pool.deallocate(nullptr);
            CHECK(pool.trim() == 0);
            pool.tick();
            CHECK(upstream.counted().calls == 0);
            CHECK(pool.upstream().name() == upstream.name());

            held_blocks held;
            for (int i = 0; i < 1000; ++i) held.hold(pool.allocate(), 100, 16);
            support::worker().run(
                [&] { held.give_back_with([&](const held_blocks::block& b) { pool.deallocate(b.p); }); });
        }
        CHECK(upstream.balanced());
    }
}

TEST_CASE("idle blocks of a block pool are returned by two ticks, or at once by trim") {
    counting_upstream upstream;
    block_pool pool(500, 16, hand_ticked(), upstream);
    const auto stock = [&] {
        held_blocks held;
        for (int i = 0; i < 1000; ++i) held.hold(pool.allocate(), 500, 16);
        held.give_back_with([&](const held_blocks::block& b) { pool.deallocate(b.p); });
    };
    stock();
    pool.tick();
    pool.tick();
    CHECK(upstream.balanced());
    stock();
    CHECK(pool.trim() > 0);
    CHECK(upstream.balanced());
}

TEST_CASE("deallocating a null pointer into a block pool does nothing") {
    block_pool pool(64);
    pool.deallocate(nullptr);
    CHECK(pool.stats() == tidepool::stats{});
    void* block = pool.try_allocate();
    CHECK(block != nullptr);
    pool.deallocate(block);
}

}  // namespace

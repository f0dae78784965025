// Go's TestPoolStress for every face: ten threads with a million operations each put an owner's stamp into everything
// that they take. Nothing ever has two owners.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "counting_upstream.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"
#include "traffic.hpp"

#include <tidepool/tidepool.hpp>

namespace {

constexpr std::size_t crowd = 10;
constexpr std::size_t operations = support::scaled(1'000'000);

}  // namespace

TEST_CASE("no object ever has two owners among ten threads") {
    struct object {
        explicit object(std::atomic<std::size_t>& count) : alive(&count) { ++*alive; }
        ~object() { --*alive; }
        std::atomic<std::size_t>* alive;
        std::atomic<std::size_t> holders{0};
    };
    std::atomic<std::size_t> alive{0}, held_twice{0};
    const auto factory = [&alive] { return object(alive); };
    {
        // Magazines of one object, as in Go, and larger ones.
        for (const std::size_t capacity : {std::size_t{1}, std::size_t{8}}) {
            tidepool::object_pool_options options;
            options.magazine_capacity = capacity;
            tidepool::object_pool pool(factory, tidepool::no_reset{}, options);
            support::on_threads(crowd, [&](std::size_t me) {
                support::rng random = support::make_rng(me);
                std::array<object*, 4> held{};
                for (std::size_t i = 0; i < operations; ++i) {
                    object*& each = held[random() % held.size()];
                    if (each) {
                        if (each->holders.fetch_sub(1, std::memory_order_relaxed) != 1) ++held_twice;
                        pool.put(each);
                        each = nullptr;
                    } else {
                        each = pool.get();
                        if (each->holders.fetch_add(1, std::memory_order_relaxed) != 0) ++held_twice;
                    }
                }
                for (object* each : held) pool.discard(each);
            });
            pool.tick();
            pool.tick();
            CHECK(alive == 0);
        }
    }
    CHECK(held_twice == 0);
}

TEST_CASE("no block of a block_pool ever has two owners among ten threads") {
    std::size_t held_twice = 0;
    for (const auto source : {tidepool::block_source::direct, tidepool::block_source::spans}) {
        support::counting_upstream books;
        {
            tidepool::pool_options options;
            options.source = source;
            tidepool::block_pool pool(64, 16, options, books);
            held_twice += support::traffic(
                crowd, operations, {64}, [&](std::size_t) { return pool.allocate(); },
                [&](void* block, std::size_t) { pool.deallocate(block); });
            CHECK(pool.stats().blocks_in_use == 0);
        }
        CHECK(books.balanced());
    }
    CHECK(held_twice == 0);
}

TEST_CASE("no block of a pool_resource ever has two owners among ten threads") {
    std::size_t held_twice = 0;
    for (const auto source : {tidepool::block_source::direct, tidepool::block_source::spans}) {
        support::counting_upstream books;
        {
            tidepool::pool_options options;
            options.source = source;
            tidepool::pool_resource pool(options, books);
            held_twice += support::traffic(
                crowd, operations, support::mixed_sizes(), [&](std::size_t bytes) { return pool.allocate(bytes, 8); },
                [&](void* block, std::size_t bytes) { pool.deallocate(block, bytes, 8); });
            CHECK(pool.stats().blocks_in_use == 0);
            CHECK(pool.stats().large_blocks == 0);
            pool.tick();
            pool.tick();
            CHECK(books.counted().bytes_live() == 0);
        }
        CHECK(books.balanced());
    }
    CHECK(held_twice == 0);
}

TEST_CASE("no block of the allocators ever has two owners among ten threads") {
    std::size_t held_twice = 0;
    using words = std::uint64_t;
    const std::uint64_t before = tidepool::default_pool().stats().blocks_in_use;
    held_twice += support::traffic(
        crowd, operations, support::mixed_sizes(),
        [](std::size_t bytes) { return tidepool::allocator<words>().allocate(bytes / sizeof(words)); },
        [](void* block, std::size_t bytes) {
            tidepool::allocator<words>().deallocate(static_cast<words*>(block), bytes / sizeof(words));
        });
    CHECK(tidepool::default_pool().stats().blocks_in_use == before);

    support::counting_upstream books;
    {
        tidepool::pool_resource pool{tidepool::upstream(books)};
        held_twice += support::traffic(
            crowd, operations, support::mixed_sizes(),
            [&](std::size_t bytes) { return tidepool::pool_allocator<words>(pool).allocate(bytes / sizeof(words)); },
            [&](void* block, std::size_t bytes) {
                tidepool::pool_allocator<words>(pool).deallocate(static_cast<words*>(block), bytes / sizeof(words));
            });
        CHECK(pool.stats().blocks_in_use == 0);
    }
    CHECK(books.balanced());
    CHECK(held_twice == 0);
}

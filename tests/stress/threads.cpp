// Short-lived threads: their slots and locals are reused, and their stock outlives them.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "calm.hpp"
#include "counting_upstream.hpp"
#include "memory_use.hpp"
#include "reach.hpp"
#include "scale.hpp"
#include "stamps.hpp"
#include "threads.hpp"
#include "worker.hpp"

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

tidepool::pool_options ticks_by_hand(tidepool::block_source source = tidepool::block_source::spans) {
    tidepool::pool_options options;
    options.decay_interval = 0ms;
    options.magazine_bytes_max = 16 * 1024;  // so that idle blocks are few compared with the bounds below
    options.source = source;
    return options;
}

constexpr std::array both_sources{tidepool::block_source::spans, tidepool::block_source::direct};

constexpr std::array<std::size_t, 10> sizes{16, 48, 64, 100, 200, 500, 1000, 1500, 3000, 4096};

// Allocates and frees a few blocks of each size, which leaves the thread a stock.
void leave_stock(tidepool::pool_resource& pool, support::stamps& stamps, std::size_t me, std::size_t of_each) {
    std::vector<void*> taken;
    for (const std::size_t bytes : sizes)
        for (std::size_t i = 0; i < of_each; ++i) {
            taken.push_back(pool.allocate(bytes, 8));
            stamps.mark(taken.back(), bytes, me);
        }
    for (std::size_t i = 0; i < taken.size(); ++i) {
        const std::size_t bytes = sizes[i / of_each];
        stamps.unmark(taken[i], bytes, me);
        pool.deallocate(taken[i], bytes, 8);
    }
}

std::vector<void*> take(tidepool::pool_resource& pool, std::size_t bytes, std::size_t count) {
    std::vector<void*> taken;
    for (std::size_t i = 0; i < count; ++i) taken.push_back(pool.allocate(bytes, 8));
    return taken;
}

void free_all(tidepool::pool_resource& pool, std::size_t bytes, const std::vector<void*>& blocks) {
    for (void* each : blocks) pool.deallocate(each, bytes, 8);
}

}  // namespace

TEST_CASE("memory depends on concurrent threads, not on a hundred thousand in all") {
    constexpr std::size_t lanes = 4, threads = support::scaled(100'000);
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            support::stamps stamps;
            // Each lane has one short-lived thread at a time and does not use the pool itself.
            const auto run = [&](std::size_t count) {
                support::on_threads(lanes, [&](std::size_t lane) {
                    for (std::size_t i = 0; i < count / lanes; ++i)
                        std::thread([&] { leave_stock(pool, stamps, lane, 1 + i % 3); }).join();
                });
            };
            run(threads / 20);
            const std::size_t resident_early = support::resident_bytes();
            run(threads / 2);
            const std::size_t resident_late = support::resident_bytes();

            CHECK(stamps.violations() == 0);
            CHECK(pool.stats().locals <= lanes);
            CHECK(pool.stats().blocks_in_use == 0);
            // Four lanes with three blocks of ten sizes, and a span or a refill for each size and lane, are far below
            // this. Without reuse the threads would request gigabytes.
            CHECK(books.counted().bytes_peak <= std::size_t{8} << 20);
            if constexpr (support::resident_is_ours) CHECK(resident_late <= resident_early + (std::size_t{2} << 20));
            pool.tick();
            pool.tick();
            CHECK(books.counted().bytes_live() == 0);
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("the stock of an exited thread is available to others at once") {
    if (!support::others_in_reach()) return;
    support::calm no_dice;
    constexpr std::size_t bytes = 64, count = 5000;
    for (const auto source : both_sources)
        for (const bool has_part_already : {false, true}) {
            CAPTURE(has_part_already);
            support::counting_upstream books;
            {
                tidepool::pool_resource pool(ticks_by_hand(source), books);
                support::worker other, another;
                std::vector<void*> one;
                if (has_part_already)
                    for (support::worker* each : {&other, &another})
                        each->run([&] { one.push_back(pool.allocate(bytes, 8)); });
                const std::uint64_t idle = pool.stats().blocks_cached;
                std::thread([&] { free_all(pool, bytes, take(pool, bytes, count)); }).join();
                const std::uint64_t left = pool.stats().blocks_cached - idle;
                CHECK(left >= count - idle);

                const std::uint64_t asked = books.counted().calls;
                std::vector<void*> first, second;
                other.run([&] { first = take(pool, bytes, left / 2); });
                // All but what the first thread may still have in its two magazines of 256.
                another.run([&] { second = take(pool, bytes, left - left / 2 - 2 * 256); });
                CHECK(books.counted().calls == asked);
                other.run([&] { free_all(pool, bytes, first); });
                another.run([&] { free_all(pool, bytes, second); });
                free_all(pool, bytes, one);
                CHECK(pool.stats().blocks_in_use == 0);
            }
            CHECK(books.balanced());
        }
}

TEST_CASE("one thread finds the stock of two hundred others") {
    if (!support::others_in_reach()) return;
    support::calm no_dice;
    constexpr std::size_t donors = 200, bytes = 256, of_each = 1000;
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_options options = ticks_by_hand(source);
            options.max_blocks_per_chunk = 16;
            tidepool::pool_resource pool(options, books);
            // All alive at once, so that each has a local of its own; more locals than a hint has bits.
            std::vector<std::unique_ptr<support::worker>> asleep;
            std::vector<std::vector<void*>> taken(donors);
            for (std::size_t i = 0; i < donors; ++i) {
                asleep.push_back(std::make_unique<support::worker>());
                asleep[i]->run([&, i] { taken[i] = take(pool, bytes, of_each); });
            }
            const std::uint64_t asked = books.counted().calls;
            for (std::size_t i = 0; i < donors; ++i) asleep[i]->run([&, i] { free_all(pool, bytes, taken[i]); });
            CHECK(pool.stats().locals == donors);
            CHECK(books.counted().returns == 0);

            // A donor keeps at most its two magazines private; all other stock is in its chain, where others can steal
            // it.
            constexpr std::size_t to_be_found = donors * (of_each - 2 * 16);
            std::vector<void*> found;
            support::worker taker;
            taker.run([&] { found = take(pool, bytes, to_be_found); });
            CHECK(books.counted().calls == asked);
            CHECK(pool.stats().hits_steal > 0);
            taker.run([&] { free_all(pool, bytes, found); });

            pool.tick();
            pool.tick();
            CHECK(books.counted().bytes_live() == 0);
        }
        CHECK(books.balanced());
    }
}

namespace {

// Uses the pool once more while its thread exits, when the pool may no longer have a local for the thread.
struct latecomer {
    tidepool::pool_resource* pool = nullptr;
    void* block = nullptr;
    ~latecomer() {
        if (!pool) return;
        pool->deallocate(block, 64, 8);
        pool->deallocate(pool->allocate(128, 8), 128, 8);
    }
};
thread_local latecomer at_exit;

}  // namespace

TEST_CASE("threads that use the pool while they exit leak nothing") {
    support::counting_upstream books;
    {
        tidepool::pool_resource pool(ticks_by_hand(), books);
        for (std::size_t round = 0; round < support::scaled(1000); ++round)
            support::on_threads(4, [&](std::size_t i) {
                latecomer& mine = at_exit;
                // Half of them use their first pool only now, half have a local already.
                if (i % 2) pool.deallocate(pool.allocate(1000, 8), 1000, 8);
                mine.block = pool.allocate(64, 8);
                mine.pool = &pool;
            });
        CHECK(pool.stats().locals <= 4);
        CHECK(pool.stats().blocks_in_use == 0);
        pool.tick();
        pool.tick();
        CHECK(books.counted().bytes_live() == 0);
    }
    CHECK(books.balanced());
}

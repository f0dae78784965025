// Decay under load and at rest: ticks, trims and snapshots may come at any time and lose no block, and stock that is
// idle for two ticks is returned to the upstream, whichever thread held it.
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
#include "reach.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "stamps.hpp"
#include "threads.hpp"
#include "traffic.hpp"
#include "worker.hpp"

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

constexpr std::array both_sources{tidepool::block_source::spans, tidepool::block_source::direct};

tidepool::pool_options ticks_by_hand(tidepool::block_source source) {
    tidepool::pool_options options;
    options.decay_interval = 0ms;
    options.source = source;
    return options;
}

constexpr std::array<std::size_t, 10> sizes{16, 32, 80, 160, 320, 640, 1280, 2560, 5120, 20'000};

// Allocates and frees `of_each` blocks of each size, which leaves the thread a stock.
void leave_stock(tidepool::pool_resource& pool, std::size_t of_each) {
    std::vector<void*> taken;
    for (const std::size_t bytes : sizes)
        for (std::size_t i = 0; i < of_each; ++i) taken.push_back(pool.allocate(bytes, 8));
    for (std::size_t i = 0; i < taken.size(); ++i) pool.deallocate(taken[i], sizes[i / of_each], 8);
}

}  // namespace

namespace {

void disturbed(tidepool::block_source source, std::size_t workers, std::size_t visitors) {
    CAPTURE(workers);
    CAPTURE(visitors);
    support::counting_upstream books;
    {
        tidepool::pool_resource pool(ticks_by_hand(source), books);
        std::atomic<bool> over{false};
        std::vector<std::thread> disturbers;
        for (std::size_t i = 0; i < visitors; ++i)
            disturbers.emplace_back([&, i] {
                support::rng random = support::make_rng(100 + i);
                while (!over) {
                    switch (random() % 8) {
                        case 0:
                            static_cast<void>(pool.trim(random() % 1'000'000));
                            break;
                        case 1:
                            static_cast<void>(pool.trim());
                            break;
                        case 2:
                            static_cast<void>(pool.stats());
                            break;
                        case 3:
                            tidepool::tick();
                            break;
                        default:
                            pool.tick();
                    }
                    if (random() % 2) std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
                }
            });
        leave_stock(pool, 1);
        while (pool.stats().ticks == 0) std::this_thread::yield();  // there is a visitor, however busy the machine is
        const std::size_t held_twice = support::traffic(
            workers, support::scaled(400'000), support::mixed_sizes(),
            [&](std::size_t bytes) { return pool.allocate(bytes, 8); },
            [&](void* block, std::size_t bytes) { pool.deallocate(block, bytes, 8); });
        over = true;
        for (std::thread& each : disturbers) each.join();
        CHECK(held_twice == 0);

        const tidepool::stats end = pool.stats();
        CHECK(end.blocks_in_use == 0);
        CHECK(end.large_blocks == 0);
        CHECK(end.refilled_blocks == end.blocks_cached + end.blocks_returned);
        CHECK(end.ticks > 0);
        pool.tick();
        pool.tick();
        CHECK(pool.stats().blocks_cached == 0);
        CHECK(books.counted().bytes_live() == 0);
    }
    CHECK(books.balanced());
}

}  // namespace

TEST_CASE("ticks, trims and snapshots by other threads lose no block") {
    for (const auto source : both_sources) {
        disturbed(source, 4, 1);
        disturbed(source, 8, 3);
    }
}

TEST_CASE("stock of sleeping and exited threads is returned after two ticks") {
    if (!support::others_in_reach()) return;
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            support::worker sleeper;
            sleeper.run([&] { leave_stock(pool, 100); });
            std::thread([&] { leave_stock(pool, 30); }).join();
            leave_stock(pool, 10);
            const std::uint64_t held = books.counted().bytes_live();
            CHECK(held > 0);
            pool.tick();
            CHECK(books.counted().bytes_live() == held);
            pool.tick();
            CHECK(books.counted().bytes_live() == 0);
            CHECK(pool.stats().bytes_cached == 0);
            CHECK(pool.stats().upstream_bytes == 0);
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("five hundred sleeping threads keep no stock") {
    if (!support::others_in_reach()) return;
    constexpr std::size_t threads = support::under_tsan ? 100 : 500;
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            std::vector<std::unique_ptr<support::worker>> asleep;
            for (std::size_t i = 0; i < threads; ++i) asleep.push_back(std::make_unique<support::worker>());
            for (int round = 0; round < 2; ++round) {
                // All at once, so that each needs its own blocks; none wakes up for the ticks.
                for (const auto& each : asleep) each->start([&] { leave_stock(pool, 3); });
                for (const auto& each : asleep) each->wait();
                CHECK(pool.stats().locals == threads);
                CHECK(books.counted().bytes_live() > 0);
                pool.tick();
                pool.tick();
                CHECK(books.counted().bytes_live() == 0);
            }
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("trim returns stock of sleeping threads at once") {
    if (!support::others_in_reach()) return;
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            std::array<support::worker, 20> asleep;
            for (support::worker& each : asleep) each.run([&] { leave_stock(pool, 20); });
            const std::uint64_t cached = pool.stats().bytes_cached;
            CHECK(pool.trim(cached) == 0);
            const std::size_t keep = cached / 2;
            const std::size_t back = pool.trim(keep);
            CHECK(back >= cached - keep);
            CHECK(pool.stats().bytes_cached == cached - back);
            CHECK(pool.trim() == cached - back);
            CHECK(books.counted().bytes_live() == 0);
            for (support::worker& each : asleep) each.run([&] { leave_stock(pool, 20); });
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("a busy thread loses the stock that it does not use") {
    if (!support::others_in_reach()) return;
    // With dice, the one size in use is refilled all the while and has more than two magazines.
    const support::calm no_dice;
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            std::atomic<bool> stocked{false}, over{false};
            std::thread busy([&] {
                void* small = pool.allocate(64, 8);
                pool.deallocate(small, 64, 8);
                leave_stock(pool, 50);
                stocked = true;
                // From here on one size only; most rounds are private hits and never take the slow path.
                while (!over) pool.deallocate(pool.allocate(64, 8), 64, 8);
            });
            while (!stocked) std::this_thread::yield();
            pool.tick();
            pool.tick();
            // All that the source has given and not got back. What is cached is not enough: where the thread is inside
            // its local, its private magazines count as in use.
            const tidepool::stats left = pool.stats();
            CHECK(left.bytes_cached + left.bytes_in_use <= 2 * 16 * 1024);
            if (source == tidepool::block_source::direct) CHECK(books.counted().bytes_live() <= 2 * 16 * 1024);
            over = true;
            busy.join();
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("idle threads can go on after release() by another thread") {
    // Without spans release() returns idle blocks only, so each phase frees all of its blocks then.
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            std::array<support::worker, 4> crew;
            support::stamps stamps;
            for (std::size_t phase = 0; phase < support::scaled(200); ++phase) {
                for (std::size_t i = 0; i < crew.size(); ++i)
                    crew[i].start([&, i] {
                        support::rng random = support::make_rng(phase * crew.size() + i);
                        for (int round = 0; round < 100; ++round) {
                            const std::size_t bytes = sizes[random() % sizes.size()];
                            void* block = pool.allocate(bytes, 8);
                            stamps.mark(block, bytes, i);
                            if (random() % 8 == 0) leave_stock(pool, random() % 5);
                            stamps.unmark(block, bytes, i);
                            const bool forgotten = source == tidepool::block_source::spans && random() % 4 == 0;
                            if (!forgotten) pool.deallocate(block, bytes, 8);
                        }
                        static_cast<void>(pool.allocate(100'000, 8));  // release() returns large blocks in any case
                    });
                for (support::worker& each : crew) each.wait();
                if (phase % 3 == 1) pool.tick();
                pool.release();
                CHECK(books.balanced());
                CHECK(pool.stats().blocks_in_use == 0);
                CHECK(pool.stats().bytes_cached == 0);
                CHECK(pool.stats().large_bytes == 0);
            }
            CHECK(stamps.violations() == 0);
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("release() goes on beside ticks from threads that never used the pool") {
    tidepool::pool_options options = ticks_by_hand(tidepool::block_source::spans);
    options.decay_interval = 1ms;
    tidepool::pool_resource mine(options), others(options);
    const tidepool::background_ticker ticker(1ms);
    std::atomic<bool> over{false};
    std::thread busy([&] {
        while (!over) leave_stock(others, 20);
    });
    for (std::size_t round = 0; round < support::scaled(300); ++round) {
        leave_stock(mine, 20);
        if (round % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(round % 7 * 700));
        mine.release();
        CHECK(mine.stats().bytes_cached == 0);
    }
    over = true;
    busy.join();
}

TEST_CASE("allocation alone ticks every pool") {
    if (!support::others_in_reach()) return;
    support::counting_upstream idle_books, busy_books;
    {
        tidepool::pool_options options = ticks_by_hand(tidepool::block_source::spans);
        options.decay_interval = 20ms;
        tidepool::pool_resource idle(options, idle_books), busy(options, busy_books);
        support::worker sleeper;
        sleeper.run([&] {
            leave_stock(idle, 20);
            leave_stock(busy, 20);
        });
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (idle_books.counted().bytes_live() > 0 && std::chrono::steady_clock::now() < deadline) {
            // More than two magazines of blocks, so that magazines are exchanged.
            std::vector<void*> taken;
            for (int i = 0; i < 1000; ++i) taken.push_back(busy.allocate(64, 8));
            for (void* each : taken) busy.deallocate(each, 64, 8);
        }
        CHECK(idle_books.counted().bytes_live() == 0);
        // The sleeper's stock in the busy pool was returned, too; only the one size that is in use is left.
        CHECK(busy.stats().ticks >= 2);
    }
    CHECK(idle_books.balanced());
    CHECK(busy_books.balanced());
}

// Short-lived pools used by long-lived threads, and the reverse: what a thread keeps for a pool does not outlive the
// pool.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "counting_upstream.hpp"
#include "memory_use.hpp"
#include "reach.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "stamps.hpp"
#include "threads.hpp"
#include "worker.hpp"

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

constexpr std::array<std::size_t, 4> sizes{32, 100, 1000, 5000};
constexpr std::array both_sources{tidepool::block_source::spans, tidepool::block_source::direct};

tidepool::pool_options of(tidepool::block_source source) {
    tidepool::pool_options options;
    options.source = source;
    options.decay_interval = 0ms;
    return options;
}

// Allocates and frees; the cached blocks stay in the thread's local.
void use(tidepool::pool_resource& pool, support::stamps& stamps, std::size_t me, std::size_t of_each) {
    for (const std::size_t bytes : sizes) {
        std::vector<void*> taken;
        for (std::size_t i = 0; i < of_each; ++i) {
            taken.push_back(pool.allocate(bytes, 8));
            stamps.mark(taken.back(), bytes, me);
        }
        for (void* each : taken) {
            stamps.unmark(each, bytes, me);
            pool.deallocate(each, bytes, 8);
        }
    }
}

}  // namespace

TEST_CASE("a thread finds no state of an earlier pool in a new one") {
    if (!support::others_in_reach()) return;
    constexpr std::size_t generations = support::scaled(1000);
    std::array<support::worker, 4> crew;
    support::rng random = support::make_rng();
    support::stamps stamps;
    std::size_t resident_early = 0;
    for (std::size_t generation = 0; generation < generations; ++generation) {
        CAPTURE(generation);
        support::counting_upstream books;
        // Each pool has the address of the one before it, and mostly its index.
        alignas(tidepool::pool_resource) static std::byte place[sizeof(tidepool::pool_resource)];
        auto* pool = ::new (place) tidepool::pool_resource(of(both_sources[generation % 2]), books);
        for (std::size_t i = 0; i < crew.size(); ++i)
            if (random() % 4 != 0)  // some threads used the pool before this one but not this one
                crew[i].start([&, i, count = random() % 50] { use(*pool, stamps, i, count); });
        for (support::worker& each : crew) each.wait();
        CHECK(pool->stats().blocks_in_use == 0);
        pool->~pool_resource();
        CHECK(books.balanced());
        if (generation == generations / 4) resident_early = support::resident_bytes();
    }
    CHECK(stamps.violations() == 0);
    if constexpr (support::resident_is_ours)
        CHECK(support::resident_bytes() <= resident_early + (std::size_t{2} << 20));
}

TEST_CASE("long-lived threads use pools of different kinds one after another") {
    std::array<support::worker, 4> crew;
    for (std::size_t generation = 0; generation < support::scaled(300); ++generation) {
        support::counting_upstream books;
        {
            tidepool::block_pool blocks(48 + 16 * (generation % 5), 16, {}, books);
            tidepool::object_pool objects([] { return std::vector<int>(10); });
            for (support::worker& each : crew)
                each.start([&] {
                    for (int i = 0; i < 20; ++i) {
                        void* block = blocks.allocate();
                        { const auto object = objects.borrow(); }
                        blocks.deallocate(block);
                    }
                });
            for (support::worker& each : crew) each.wait();
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("a pool may be destroyed while the threads that used it exit") {
    for (std::size_t round = 0; round < support::scaled(2000); ++round) {
        support::counting_upstream books;
        support::stamps stamps;
        auto pool = std::make_unique<tidepool::pool_resource>(of(both_sources[round % 2]), books);
        std::atomic<int> done{0};
        std::array<std::thread, 3> threads;
        for (std::size_t i = 0; i < threads.size(); ++i)
            threads[i] = std::thread([&, i] {
                use(*pool, stamps, i, 3);
                done.fetch_add(1, std::memory_order_release);  // the thread does not use the pool after this
            });
        while (done.load(std::memory_order_acquire) < 3) std::this_thread::yield();
        pool.reset();  // the threads are exiting
        CHECK(books.balanced());
        for (std::thread& each : threads) each.join();
        CHECK(stamps.violations() == 0);
    }
}

TEST_CASE("pools are constructed and destroyed while others are in use") {
    constexpr std::size_t threads = 6, rounds = support::scaled(500);
    support::counting_upstream shared_books;
    {
        tidepool::pool_resource shared(of(tidepool::block_source::spans), shared_books);
        support::stamps stamps;
        std::array<bool, threads> balanced{};
        support::on_threads(threads, [&](std::size_t me) {
            support::counting_upstream books;
            for (std::size_t i = 0; i < rounds; ++i) {
                tidepool::pool_resource own(of(both_sources[i % 2]), books);
                use(own, stamps, me, 3);
                use(shared, stamps, me, 3);
                if (i % 16 == 0) tidepool::tick();
            }
            balanced[me] = books.balanced();
        });
        CHECK(std::all_of(balanced.begin(), balanced.end(), [](bool each) { return each; }));
        CHECK(stamps.violations() == 0);
    }
    CHECK(shared_books.balanced());
}

TEST_CASE("four threads use three hundred pools at once") {
    if (!support::others_in_reach()) return;
    // More than direct_pools, the pin slots of a thread.
    constexpr std::size_t pools = 300;
    struct one {
        support::counting_upstream books;
        std::optional<tidepool::pool_resource> pool;
    };
    std::vector<std::unique_ptr<one>> all;
    for (std::size_t i = 0; i < pools; ++i) {
        all.push_back(std::make_unique<one>());
        all.back()->pool.emplace(of(both_sources[i % 2]), all.back()->books);
    }
    support::stamps stamps;
    std::array<support::worker, 4> crew;
    const auto use_all = [&] {
        for (std::size_t i = 0; i < crew.size(); ++i)
            crew[i].start([&, i] {
                support::rng random = support::make_rng(i);
                for (std::size_t n = 0; n < support::scaled(20 * pools); ++n)
                    if (one& which = *all[random() % pools]; which.pool) use(*which.pool, stamps, i, random() % 8);
            });
        for (support::worker& each : crew) each.wait();
    };
    use_all();
    // A third is destroyed, in any order; new pools take their indices and find no state of them.
    support::rng random = support::make_rng(pools);
    std::vector<std::size_t> order(pools);
    for (std::size_t i = 0; i < pools; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t i = 0; i < pools / 3; ++i) {
        all[order[i]]->pool.reset();
        CHECK(all[order[i]]->books.balanced());
    }
    use_all();
    for (std::size_t i = 0; i < pools / 3; i += 2)
        all[order[i]]->pool.emplace(of(both_sources[i / 2 % 2]), all[order[i]]->books);
    use_all();

    tidepool::tick();
    tidepool::tick();
    for (const auto& each : all) CHECK(each->books.counted().bytes_live() == 0);
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
        all[i]->pool.reset();
        CHECK(all[i]->books.balanced());
    }
    CHECK(stamps.violations() == 0);
}

// Go's own tests of sync.Pool (sync/pool_test.go), carried over to object_pool and block_pool. Its stress test is in
// owners.cpp, the tests of its queues are in tests/unit.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <thread>
#include <vector>

#include "calm.hpp"
#include "counting_upstream.hpp"
#include "reach.hpp"
#include "threads.hpp"
#include "worker.hpp"

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

// How many objects of a test were constructed and how many destroyed.
struct lives {
    std::atomic<std::size_t> born{0};
    std::atomic<std::size_t> died{0};
};

struct object {
    explicit object(lives& of) : counts(&of) { counts->born.fetch_add(1); }
    object(const object&) = delete;
    object& operator=(const object&) = delete;
    ~object() { counts->died.fetch_add(1); }

    lives* counts;
};

struct object_factory {
    lives* counts;
    object operator()() const { return object(*counts); }
};

using objects = tidepool::object_pool<object, object_factory>;

// Explicit ticks only.
tidepool::object_pool_options object_options(std::size_t magazine_capacity) {
    tidepool::object_pool_options options;
    options.magazine_capacity = magazine_capacity;
    options.decay_interval = 0ms;
    return options;
}

// Magazines of one block, so that the pool requests exactly what the test allocates, and explicit ticks only.
tidepool::pool_options one_at_a_time(tidepool::block_source source) {
    tidepool::pool_options options;
    options.max_blocks_per_chunk = 1;
    options.decay_interval = 0ms;
    options.source = source;
    return options;
}

template <class T>
std::vector<T> sorted(std::vector<T> values) {
    std::sort(values.begin(), values.end());
    return values;
}

std::vector<object*> get_many(objects& pool, std::size_t count) {
    std::vector<object*> got;
    for (std::size_t i = 0; i < count; ++i) got.push_back(pool.get());
    return got;
}

void get_and_put(objects& pool, std::size_t count) {
    for (object* each : get_many(pool, count)) pool.put(each);
}

// Takes idle objects without calling the factory, at most `most`.
std::vector<object*> get_idle(objects& pool, std::size_t most) {
    std::vector<object*> got;
    while (got.size() < most)
        if (object* each = pool.try_get())
            got.push_back(each);
        else
            break;
    return got;
}

std::vector<void*> allocate_many(tidepool::block_pool& pool, std::size_t count) {
    std::vector<void*> got;
    for (std::size_t i = 0; i < count; ++i) got.push_back(pool.allocate());
    return got;
}

void allocate_and_free(tidepool::block_pool& pool, std::size_t count) {
    for (void* each : allocate_many(pool, count)) pool.deallocate(each);
}

constexpr std::size_t hundred = 100;

// The thread that holds the stock at the tick.
enum class whose { running, sleeping, exited };

template <class Task>
void on_thread(whose stock, support::worker& sleeper, Task task) {
    if (stock == whose::running) task();
    if (stock == whose::sleeping) sleeper.run(task);
    if (stock == whose::exited) std::thread(task).join();
}

}  // namespace

TEST_CASE("try_get on an empty object pool returns null") {
    support::calm no_dice;
    lives counts;
    objects pool({&counts}, {}, object_options(1));
    CHECK(pool.try_get() == nullptr);
    CHECK(counts.born == 0);

    object* only = pool.get();
    pool.put(only);
    CHECK(pool.try_get() == only);
    CHECK(pool.try_get() == nullptr);
    pool.discard(only);
    CHECK(counts.born == 1);
    CHECK(counts.died == 1);
}

TEST_CASE("get returns the same set of objects that was put") {
    support::calm no_dice;
    for (const std::size_t capacity : std::initializer_list<std::size_t>{1, 2, 7, 256})
        for (const std::size_t count : std::initializer_list<std::size_t>{1, 2, 3, 100, 1000}) {
            CAPTURE(capacity);
            CAPTURE(count);
            lives counts;
            {
                objects pool({&counts}, {}, object_options(capacity));
                const std::vector<object*> first = get_many(pool, count);
                for (object* each : first) pool.put(each);
                const std::vector<object*> second = get_idle(pool, count + 1);
                CHECK(sorted(first) == sorted(second));
                CHECK(pool.try_get() == nullptr);
                for (object* each : second) pool.put(each);
                CHECK(counts.died == 0);
            }
            CHECK(counts.born == count);
            CHECK(counts.died == count);
        }
}

TEST_CASE("the factory is called only on a miss") {
    support::calm no_dice;
    lives counts;
    objects pool({&counts}, {}, object_options(1));
    object* first = pool.get();
    object* second = pool.get();
    CHECK(counts.born == 2);
    pool.put(first);
    CHECK(pool.get() == first);
    CHECK(counts.born == 2);
    object* third = pool.get();
    CHECK(counts.born == 3);
    for (object* each : {first, second, third}) pool.discard(each);
    CHECK(counts.died == 3);
}

TEST_CASE("a hundred objects survive one tick, and none survives two") {
    if (!support::others_in_reach()) return;
    support::calm no_dice;
    for (const std::size_t capacity : {std::size_t{1}, std::size_t{16}})
        for (const whose stock : {whose::running, whose::sleeping, whose::exited}) {
            CAPTURE(capacity);
            CAPTURE(static_cast<int>(stock));
            lives counts;
            objects pool({&counts}, {}, object_options(capacity));
            support::worker sleeper;
            on_thread(stock, sleeper, [&] { get_and_put(pool, hundred); });
            CHECK(counts.born == hundred);
            pool.tick();
            CHECK(counts.died == 0);
            pool.tick();
            CHECK(counts.died == hundred);
            CHECK(pool.try_get() == nullptr);
            pool.tick();
            CHECK(counts.died == hundred);
            // The thread can use its local again.
            on_thread(stock, sleeper, [&] { get_and_put(pool, hundred); });
            CHECK(counts.born == 2 * hundred);
            CHECK(counts.died == hundred);
        }
}

TEST_CASE("objects of sleeping and exited threads survive one tick, and none survives two") {
    if (!support::others_in_reach()) return;
    support::calm no_dice;
    lives counts;
    objects pool({&counts}, {}, object_options(1));
    const std::vector<object*> all = get_many(pool, hundred);
    const auto put_tenth = [&](std::size_t which) {
        for (std::size_t i = which; i < hundred; i += 10) pool.put(all[i]);
    };
    std::array<support::worker, 5> sleepers;
    for (std::size_t i = 0; i < 5; ++i) sleepers[i].run([&, i] { put_tenth(i); });
    support::on_threads(5, [&](std::size_t i) { put_tenth(5 + i); });
    pool.tick();
    CHECK(counts.died == 0);
    pool.tick();
    CHECK(counts.died == hundred);
}

TEST_CASE("an object taken and put after one tick is young again") {
    support::calm no_dice;
    for (const std::size_t capacity : {std::size_t{1}, std::size_t{16}}) {
        CAPTURE(capacity);
        lives counts;
        {
            objects pool({&counts}, {}, object_options(capacity));
            get_and_put(pool, hundred);
            for (int round = 0; round < 10; ++round) {
                pool.tick();
                const std::vector<object*> kept = get_idle(pool, hundred + 1);
                CHECK(kept.size() == hundred);
                for (object* each : kept) pool.put(each);
            }
            CHECK(counts.born == hundred);
            CHECK(counts.died == 0);
        }
        CHECK(counts.died == hundred);
    }
}

TEST_CASE("a pool refers to no object after all were taken") {
    support::calm no_dice;
    for (const std::size_t capacity : {std::size_t{1}, std::size_t{16}}) {
        CAPTURE(capacity);
        lives counts;
        {
            objects pool({&counts}, {}, object_options(capacity));
            get_and_put(pool, hundred);
            const std::vector<object*> all = get_idle(pool, hundred);
            REQUIRE(all.size() == hundred);
            for (int i = 0; i < 3; ++i) pool.tick();
            CHECK(counts.died == 0);
            CHECK(pool.try_get() == nullptr);
            CHECK(pool.trim() == 0);
            for (object* each : all) pool.discard(each);
            CHECK(counts.died == hundred);
        }
        CHECK(counts.died == hundred);
    }
}

TEST_CASE("trim destroys idle objects down to the requested number") {
    if (!support::others_in_reach()) return;
    support::calm no_dice;
    lives counts;
    objects pool({&counts}, {}, object_options(1));
    support::worker sleeper;
    const std::vector<object*> all = get_many(pool, hundred);
    sleeper.run([&] {
        for (std::size_t i = 0; i < hundred / 2; ++i) pool.put(all[i]);
    });
    for (std::size_t i = hundred / 2; i < hundred; ++i) pool.put(all[i]);
    CHECK(pool.trim(hundred) == 0);
    const std::size_t gone = pool.trim(30);
    CHECK(gone >= hundred - 30);
    CHECK(counts.died == gone);
    CHECK(pool.trim(0) == hundred - gone);
    CHECK(counts.died == hundred);
}

TEST_CASE("a block pool starts empty and asks its upstream only on a miss") {
    support::calm no_dice;
    for (const auto source : {tidepool::block_source::direct, tidepool::block_source::spans}) {
        support::counting_upstream books;
        {
            tidepool::block_pool pool(64, 16, one_at_a_time(source), books);
            CHECK(books.counted().calls == 0);
            CHECK(pool.stats().blocks_cached == 0);
            const std::vector<void*> first = allocate_many(pool, hundred);
            const std::uint64_t asked = books.counted().calls;
            CHECK(asked == (source == tidepool::block_source::direct ? hundred : 1));
            CHECK(pool.stats().misses == hundred);
            for (void* each : first) pool.deallocate(each);
            const std::vector<void*> second = allocate_many(pool, hundred);
            CHECK(sorted(first) == sorted(second));
            CHECK(pool.stats().misses == hundred);
            CHECK(books.counted().calls == asked);
            for (void* each : second) pool.deallocate(each);
            CHECK(books.counted().returns == 0);
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("a hundred blocks survive one tick, and none survives two") {
    if (!support::others_in_reach()) return;
    support::calm no_dice;
    for (const whose stock : {whose::running, whose::sleeping, whose::exited}) {
        CAPTURE(static_cast<int>(stock));
        support::counting_upstream books;
        {
            tidepool::block_pool pool(64, 16, one_at_a_time(tidepool::block_source::direct), books);
            support::worker sleeper;
            on_thread(stock, sleeper, [&] { allocate_and_free(pool, hundred); });
            CHECK(books.counted().calls == hundred);
            pool.tick();
            CHECK(books.counted().returns == 0);
            pool.tick();
            CHECK(books.counted().returns == hundred);
            on_thread(stock, sleeper, [&] { allocate_and_free(pool, hundred); });
            CHECK(books.counted().calls == 2 * hundred);
            CHECK(books.counted().returns == hundred);
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("ticks leave a block in use untouched") {
    support::calm no_dice;
    for (const auto source : {tidepool::block_source::direct, tidepool::block_source::spans}) {
        support::counting_upstream books;
        {
            tidepool::block_pool pool(64, 16, one_at_a_time(source), books);
            allocate_and_free(pool, hundred);
            const std::vector<void*> all = allocate_many(pool, hundred);
            for (int i = 0; i < 3; ++i) pool.tick();
            CHECK(books.counted().returns == 0);
            CHECK(pool.stats().blocks_in_use == hundred);
            for (void* each : all) pool.deallocate(each);
            for (int i = 0; i < 2; ++i) pool.tick();
            CHECK(books.counted().bytes_live() == 0);
        }
        CHECK(books.balanced());
    }
}

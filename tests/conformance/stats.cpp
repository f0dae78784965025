// The counters agree with each other, with the program's own count and with the upstream's count.
#include <tidepool/stats.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/detail/size_classes.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "calm.hpp"
#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "reach.hpp"
#include "seed.hpp"
#include "setups.hpp"
#include "worker.hpp"

namespace {

using namespace conformance;
using support::counting_upstream;
using tidepool::pool_resource;
using tidepool::stats;

std::uint64_t takes(const stats& s) { return s.hits_private + s.hits_chain + s.hits_steal + s.hits_victim + s.misses; }

void check_consistent(const stats& s) {
    CHECK(s.refilled_blocks - s.blocks_returned == s.blocks_in_use + s.blocks_cached);
    CHECK(s.spilled_blocks <= s.blocks_returned);
    CHECK(s.spills <= s.spilled_blocks);
    CHECK(s.refills <= s.refilled_blocks);
    CHECK((s.blocks_cached == 0) == (s.bytes_cached == 0));
    CHECK((s.blocks_in_use == 0) == (s.bytes_in_use == 0));
    CHECK((s.blocks_returned == 0) == (s.bytes_returned == 0));
    CHECK((s.large_blocks == 0) == (s.large_bytes == 0));
    CHECK(s.bytes_cached <= s.bytes_cached_peak);
    CHECK(s.bytes_in_use + s.bytes_cached <= s.bytes_held_peak);
    CHECK(s.upstream_bytes <= s.upstream_bytes_peak);
}

// Allocates and frees at random and knows the expected counters. For one thread.
class bookkeeper {
public:
    explicit bookkeeper(pool_resource& pool) : pool_(pool) {}

    void take() {
        // Mostly small sizes; one in twenty has no size class.
        std::size_t bytes = std::size_t{1} << std::uniform_int_distribution<unsigned>(0, 14)(rng_);
        if (std::uniform_int_distribution<int>(1, 20)(rng_) == 1) bytes += 32'768;
        blocks_.push_back({pool_.allocate(bytes), bytes});
        (is_large(bytes) ? large_takes_ : pooled_takes_) += 1;
    }
    void give() {
        if (blocks_.empty()) return;
        std::swap(blocks_[std::uniform_int_distribution<std::size_t>(0, blocks_.size() - 1)(rng_)], blocks_.back());
        pool_.deallocate(blocks_.back().p, blocks_.back().bytes);
        blocks_.pop_back();
    }
    void give_all() {
        while (!blocks_.empty()) give();
    }

    void check() const {
        const stats s = pool_.stats();
        check_consistent(s);
        std::uint64_t pooled = 0, pooled_bytes = 0, large_bytes = 0;
        for (const block& b : blocks_) {
            if (is_large(b.bytes)) {
                large_bytes += b.bytes;
            } else {
                ++pooled;
                pooled_bytes += tidepool::detail::size_class_bytes(tidepool::detail::size_class_of(b.bytes, 1));
            }
        }
        CHECK(s.blocks_in_use == pooled);
        CHECK(s.bytes_in_use == pooled_bytes);
        CHECK(s.large_blocks == blocks_.size() - pooled);
        CHECK(s.large_bytes == large_bytes);
        if (s.bypasses == 0) CHECK(takes(s) == pooled_takes_);
    }

private:
    struct block {
        void* p;
        std::size_t bytes;
    };
    static bool is_large(std::size_t bytes) { return bytes > tidepool::detail::pooled_bytes_max; }

    pool_resource& pool_;
    support::rng rng_ = support::make_rng();
    std::vector<block> blocks_;
    std::uint64_t pooled_takes_ = 0, large_takes_ = 0;
};

TEST_CASE("the counters agree with each other, the program and the upstream") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        counting_upstream upstream;
        pool_resource pool(hand_ticked(source), upstream);
        bookkeeper program(pool);
        const auto check = [&] {
            program.check();
            const stats now = pool.stats();
            CHECK(now.upstream_bytes == upstream.counted().bytes_live());
            CHECK(now.upstream_bytes >= now.bytes_in_use + now.bytes_cached + now.large_bytes);
            CHECK(pool.stats().upstream_bytes_peak == upstream.counted().bytes_peak);
        };
        check();
        for (int round = 0; round < 12; ++round) {
            for (int i = 0; i < 1000; ++i) i % 3 == 0 ? program.give() : program.take();
            check();
            for (int i = 0; i < 600; ++i) program.give();
            check();
            if (round % 3 == 2) pool.tick();
            if (round % 5 == 4) pool.trim(100'000);
            check();
        }
        program.give_all();
        check();
        pool.trim();
        check();
        CHECK(pool.stats().refilled_blocks == pool.stats().blocks_returned);
        CHECK(pool.stats().upstream_bytes == 0);
    }
}

TEST_CASE("stock beyond local_bytes_max is spilled and counted") {
    const support::calm quiet;
    tidepool::pool_options options = hand_ticked();
    options.local_bytes_max = 100'000;
    options.depot_bytes_max = 0;
    pool_resource pool(options);
    std::vector<void*> blocks(10'000);
    for (void*& block : blocks) block = pool.allocate(64);
    for (void* block : blocks) pool.deallocate(block, 64);
    const stats s = pool.stats();
    check_consistent(s);
    CHECK(s.spills > 0);
    CHECK(s.blocks_cached + s.spilled_blocks == s.refilled_blocks);
    CHECK(s.bytes_cached <= options.local_bytes_max + 2 * options.magazine_bytes_max);
}

TEST_CASE("what the depot has lent goes back before memory grows beyond its peak") {
    const support::calm quiet;
    tidepool::pool_options options = hand_ticked();
    options.local_bytes_max = 0;
    options.depot_bytes_max = std::size_t{64} << 20;
    options.magazine_bytes_max = 4096;
    pool_resource pool(options);
    const auto round_of = [&](std::size_t bytes) {
        std::vector<void*> blocks((std::size_t{8} << 20) / bytes);
        for (void*& block : blocks) block = pool.allocate(bytes);
        for (void* block : blocks) pool.deallocate(block, bytes);
    };
    round_of(64);
    const stats first = pool.stats();
    CHECK(first.spills == 0);
    CHECK(first.bytes_lent > std::size_t{7} << 20);
    for (const std::size_t bytes : {80U, 96U, 112U}) round_of(bytes);
    check_consistent(pool.stats());
    CHECK(pool.stats().upstream_bytes_peak < first.upstream_bytes_peak + (std::size_t{1} << 20));
    for (int ticks = 0; ticks < 2; ++ticks) pool.tick();
    CHECK(pool.stats().bytes_lent == 0);
    CHECK(pool.stats().blocks_cached == 0);
}

TEST_CASE("trim takes back the room that a sleeping or exited thread has from the depot") {
    const support::calm quiet;
    if (!support::others_in_reach()) return;
    pool_resource pool(hand_ticked());
    support::worker sleeper;
    for (const bool exits : {false, true}) {
        const auto leave_stock = [&] {
            held_blocks held;
            for (int i = 0; i < 10'000; ++i) held.take(pool, 1000);
            held.give_back(pool);
        };
        exits ? std::thread(leave_stock).join() : sleeper.run(leave_stock);
        CHECK(pool.stats().bytes_lent > std::size_t{1} << 20);
        pool.trim();
        CHECK(pool.stats().bytes_lent == 0);
    }
}

// In an object pool with magazines of one object, each kind of hit can be provoked at will.
TEST_CASE("a hit is counted for the stage that found the block") {
    const support::calm quiet;
    tidepool::object_pool<int> pool({}, {}, hand_ticked_objects());
    std::vector<int*> objects(10);
    const auto get_all = [&] {
        for (int*& object : objects) object = pool.try_get();
        CHECK(std::count(objects.begin(), objects.end(), nullptr) == 0);
    };
    const auto put_all = [&] {
        for (int* object : objects) pool.put(object);
    };
    for (int*& object : objects) object = pool.get();
    stats last = pool.stats();
    CHECK(takes(last) == last.misses);
    CHECK(last.misses == objects.size());
    const auto gained = [&](std::uint64_t stats::*counter) {
        const stats now = pool.stats();
        CHECK(takes(now) - takes(last) == objects.size());
        const std::uint64_t gain = now.*counter - last.*counter;
        last = now;
        return gain;
    };

    put_all();
    CHECK(pool.stats().blocks_cached == objects.size());
    get_all();
    CHECK(gained(&stats::hits_chain) >= objects.size() - 2);  // all but the two in the private magazines

    put_all();
    pool.tick();
    get_all();
    CHECK(gained(&stats::hits_victim) == objects.size());

    // Other threads can steal all but what lies in the two private magazines.
    put_all();
    support::worker().run([&] {
        for (std::size_t i = 0; i < objects.size() - 2; ++i) objects[i] = pool.try_get();
    });
    for (std::size_t i = objects.size() - 2; i < objects.size(); ++i) objects[i] = pool.try_get();
    CHECK(gained(&stats::hits_steal) == objects.size() - 2);

    put_all();
    CHECK(pool.trim() == objects.size());
    CHECK(pool.try_get() == nullptr);
    CHECK(pool.stats().misses == last.misses + 1);
}

TEST_CASE("objects are counted like blocks") {
    tidepool::object_pool<std::uint64_t> pool({}, {}, hand_ticked_objects());
    std::vector<std::uint64_t*> out;
    const auto check = [&] {
        check_consistent(pool.stats());
        CHECK(pool.stats().blocks_in_use == out.size());
    };
    for (int i = 0; i < 20; ++i) out.push_back(pool.get());
    check();
    while (out.size() > 6) {
        pool.put(out.back());
        out.pop_back();
        check();
    }
    pool.discard(out.back());
    out.pop_back();
    check();
    pool.trim(3);
    check();
    for (std::uint64_t* each : out) pool.put(each);
    out.clear();
    check();
}

TEST_CASE("a private hit is counted as a private hit") {
    const support::calm quiet;
    pool_resource pool(hand_ticked());
    for (int i = 0; i < 1000; ++i) pool.deallocate(pool.allocate(64), 64);
    const stats s = pool.stats();
    CHECK(s.misses == 1);
    CHECK(s.hits_private == 999);
    CHECK(s.bypasses == 0);
    CHECK(s.locals == 1);
}

TEST_CASE("the text form has one line for each counter, with its name and value") {
    stats s;
    std::uint64_t value = 1000;
#define TIDEPOOL_TEST_SET(name, unit, meaning) s.name = ++value;
    TIDEPOOL_STATS(TIDEPOOL_TEST_SET)
#undef TIDEPOOL_TEST_SET
    std::istringstream text(tidepool::to_string(s));
#define TIDEPOOL_TEST_LINE(name, unit, meaning)                        \
    {                                                                  \
        std::string line;                                              \
        CHECK(std::getline(text, line));                               \
        CHECK(line.find(#name) != std::string::npos);                  \
        CHECK(line.find(std::to_string(s.name)) != std::string::npos); \
        CHECK(line.find(unit) != std::string::npos);                   \
        CHECK(line.find(meaning) != std::string::npos);                \
    }
    TIDEPOOL_STATS(TIDEPOOL_TEST_LINE)
#undef TIDEPOOL_TEST_LINE
    std::string beyond;
    CHECK_FALSE(std::getline(text, beyond));

    std::ostringstream out;
    out << s;
    CHECK(out.str() == tidepool::to_string(s));
}

}  // namespace

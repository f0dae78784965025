// An upstream that runs out of memory at the worst moment: at each call of a run in turn.
#include <doctest/doctest.h>
#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/block_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "calm.hpp"
#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "scale.hpp"
#include "setups.hpp"

namespace {

using namespace conformance;
using support::counting_resource;
using support::counting_upstream;
using tidepool::pool_resource;

// Fills containers of many sizes, with over-aligned and large requests among them. Throws std::bad_alloc half way or
// not at all, and frees everything either way.
void use(std::pmr::memory_resource& pool) {
    std::pmr::map<int, std::pmr::string> lines(&pool);
    std::pmr::list<std::pmr::vector<int>> lists(&pool);
    for (int i = 0; i < 60; ++i) {
        lines.emplace(i, std::pmr::string(static_cast<std::size_t>(i) * 29, 'x', &pool));
        lists.emplace_back(static_cast<std::size_t>(i), i);
    }
    std::pmr::vector<std::uint64_t> growing(&pool);
    for (std::uint64_t i = 0; i < 20'000; ++i) growing.push_back(i);  // from 8 B to 256 KiB

    struct block {
        std::pmr::memory_resource& home;
        std::size_t bytes, alignment;
        void* p = home.allocate(bytes, alignment);
        ~block() { home.deallocate(p, bytes, alignment); }
    };
    std::vector<std::unique_ptr<block>> blocks;
    for (std::size_t alignment = 32; alignment <= 16'384; alignment *= 2) {
        blocks.push_back(std::unique_ptr<block>(new block{pool, 3 * alignment / 2, alignment}));
        CHECK(is_aligned(blocks.back()->p, alignment));
    }
    std::uint64_t sum = 0;
    for (const std::uint64_t each : growing) sum += each;
    CHECK(sum == 199'990'000);
    CHECK(lines.at(59).size() == 59 * 29);
    CHECK(lists.back().back() == 59);
}

enum class drought { one_call, all_from_then_on };

struct tally {
    int runs = 0;
    int failed = 0;  // runs that threw std::bad_alloc
};

// Repeats the run and fails its n-th call, with growing n, until a run makes fewer than n calls.
tally fail_every_call_of_a_run(tidepool::block_source source, drought kind, std::uint64_t step) {
    tally counted;
    for (std::uint64_t n = 1;; n += step) {
        CAPTURE(n);
        counting_resource upstream;
        bool reached = false;
        {
            pool_resource pool(hand_ticked(source), &upstream);
            kind == drought::one_call ? upstream.books.fail_at(n) : upstream.books.fail_from(n);
            try {
                use(pool);
            } catch (const std::bad_alloc&) {
                ++counted.failed;
            }
            reached = upstream.books.counted().failures != 0;
            CHECK(pool.stats().blocks_in_use == 0);
            CHECK(pool.stats().large_blocks == 0);
            CHECK(pool.stats().upstream_bytes == upstream.books.counted().bytes_live());

            upstream.books.never_fail();
            CHECK_NOTHROW(use(pool));
            CHECK(pool.stats().blocks_in_use == 0);
            pool.trim();
            CHECK(upstream.books.balanced());
        }
        CHECK(upstream.books.balanced());
        if (!reached) return counted;
        ++counted.runs;
        REQUIRE(n < 100'000);
    }
}

TEST_CASE("a single exception of the upstream leaks nothing and leaves the pool intact") {
    const tally counted = fail_every_call_of_a_run(tidepool::block_source::spans, drought::one_call, 1);
    CHECK(counted.runs > 20);
    // The pool may return idle blocks and ask again, so not every failure reaches the program.
    CHECK(counted.failed > 0);
}

TEST_CASE("an upstream that throws from then on leaks nothing and leaves the pool intact") {
    const tally counted = fail_every_call_of_a_run(tidepool::block_source::spans, drought::all_from_then_on, 1);
    CHECK(counted.runs > 20);
    CHECK(counted.failed > counted.runs / 2);
}

TEST_CASE("a throwing upstream below a direct pool leaks nothing and leaves it intact") {
    const std::uint64_t step = support::slow_build ? 97 : 7;
    for (const drought kind : {drought::one_call, drought::all_from_then_on}) {
        const tally counted = fail_every_call_of_a_run(tidepool::block_source::direct, kind, step);
        CHECK(counted.runs > 5);
        // A batch that ends early is enough if it has one block.
        CHECK(counted.failed > 0);
    }
}

TEST_CASE("cached blocks are still allocated when the upstream has no memory") {
    const support::calm quiet;
    counting_upstream upstream;
    pool_resource pool(hand_ticked(), upstream);
    held_blocks held;
    for (int i = 0; i < 1000; ++i) held.take(pool, 64);
    held.give_back(pool);
    upstream.fail_from(1);
    for (int i = 0; i < 1000; ++i) held.take(pool, 64);
    CHECK_THROWS_AS(pool.deallocate(pool.allocate(32'768), 32'768), std::bad_alloc);
    CHECK_THROWS_AS(pool.deallocate(pool.allocate(100'000), 100'000), std::bad_alloc);
    held.give_back(pool);
}

TEST_CASE("a pool whose upstream fails returns its idle blocks and asks once more") {
    const support::calm quiet;
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        counting_upstream upstream;
        pool_resource pool(hand_ticked(source), upstream);
        held_blocks held;
        for (int i = 0; i < 100; ++i) held.take(pool, 64);
        held.give_back(pool);
        upstream.fail_at(1);
        held.take(pool, 1000);
        CHECK(upstream.counted().failures == 1);
        CHECK(pool.stats().blocks_cached < 100);
        held.give_back(pool);
    }
}

namespace {

// For the destructor of a thread's last variable, by when the thread has no cache any more.
struct last_wish {
    pool_resource& from;
    bool served = false;
};

}  // namespace

TEST_CASE("a request past the cache gets what is idle before it fails, too") {
    const support::calm quiet;
    counting_upstream upstream;
    pool_resource pool(hand_ticked(), upstream);
    held_blocks held;
    for (int i = 0; i < 100; ++i) held.take(pool, 64);
    held.give_back(pool);
    last_wish wish{pool};
    pthread_key_t key;  // newer than the library's, so its destructor runs later
    REQUIRE(pthread_key_create(&key, [](void* p) {
                auto& its = *static_cast<last_wish*>(p);
                its.from.deallocate(its.from.allocate(20'000), 20'000);
                its.served = true;
            }) == 0);
    std::thread([&] {
        pool.deallocate(pool.allocate(64), 64);
        pthread_setspecific(key, &wish);
        upstream.fail_at(1);
    }).join();
    pthread_key_delete(key);
    CHECK(wish.served);
    CHECK(upstream.counted().failures == 1);
    CHECK(pool.stats().bypasses > 0);
}

TEST_CASE("deallocate never allocates from the upstream") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        counting_upstream upstream;
        pool_resource pool(hand_ticked(source), upstream);
        held_blocks held;
        for (int i = 0; i < 5000; ++i) held.take(pool, static_cast<std::size_t>(i) * 8);
        const std::uint64_t calls = upstream.counted().calls;
        held.give_back(pool);
        pool.tick();
        pool.tick();
        CHECK(upstream.counted().calls == calls);
    }
}

TEST_CASE("a block pool without memory returns null or throws, as requested") {
    counting_upstream upstream;
    tidepool::block_pool pool(64, 64, hand_ticked(), upstream);
    upstream.fail_from(1);
    CHECK(pool.try_allocate() == nullptr);
    CHECK_THROWS_AS(pool.deallocate(pool.allocate()), std::bad_alloc);
    upstream.never_fail();
    void* block = pool.allocate();
    CHECK(is_aligned(block, 64));
    pool.deallocate(block);
}

}  // namespace

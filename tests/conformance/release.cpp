// release() and the destructor return every block at once, whoever holds it.
#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <vector>

#include <tidepool/block_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "setups.hpp"
#include "worker.hpp"

namespace {

using namespace conformance;
using support::counting_upstream;
using tidepool::pool_resource;

// Makes blocks of every kind in every state: in use, idle in this thread's local, and idle in the locals of a sleeping
// and of an exited thread. Those in use are left in `held`.
void make_a_mess(pool_resource& pool, support::worker& sleeper, held_blocks& held) {
    const auto churn = [&pool] {
        held_blocks mine;
        for (std::size_t bytes = 1; bytes < 100'000; bytes = bytes * 6 / 5 + 1)
            for (int i = 0; i < 5; ++i) mine.take(pool, bytes);
        mine.give_back(pool);
    };
    churn();
    sleeper.run(churn);
    support::worker().run(churn);
    for (std::size_t bytes = 1; bytes < 100'000; bytes = bytes * 5 / 4 + 1) held.take(pool, bytes);
    for (std::size_t alignment = 1; alignment <= 65'536; alignment *= 2) held.take(pool, 100, alignment);
}

TEST_CASE("release returns every block, even those in use, and the pool stays usable") {
    counting_upstream upstream;
    support::worker sleeper;
    pool_resource pool(hand_ticked(), upstream);
    for (int round = 0; round < 3; ++round) {
        held_blocks held;
        make_a_mess(pool, sleeper, held);
        CHECK(upstream.counted().bytes_live() > 0);
        held.abandon();
        pool.release();
        CHECK(upstream.balanced());
        const tidepool::stats now = pool.stats();
        CHECK(now.blocks_in_use == 0);
        CHECK(now.blocks_cached == 0);
        CHECK(now.large_blocks == 0);
        CHECK(now.large_bytes == 0);
        CHECK(now.upstream_bytes == 0);
    }
}

TEST_CASE("the destructor returns every block, even those in use") {
    counting_upstream upstream;
    support::worker sleeper;
    {
        pool_resource pool(hand_ticked(), upstream);
        held_blocks held;
        make_a_mess(pool, sleeper, held);
    }
    CHECK(upstream.balanced());
}

TEST_CASE("containers need not be destroyed before release") {
    counting_upstream upstream;
    pool_resource pool(hand_ticked(), upstream);
    // These containers lie in memory of the pool and are never destroyed; release() ends them.
    auto* words =
        ::new (pool.allocate(sizeof(std::pmr::vector<std::pmr::string>))) std::pmr::vector<std::pmr::string>(&pool);
    for (int i = 0; i < 1000; ++i) words->emplace_back(static_cast<std::size_t>(i), 'x');
    pool.release();
    CHECK(upstream.balanced());
}

TEST_CASE("release of a direct pool returns idle and large blocks only") {
    counting_upstream upstream;
    support::worker sleeper;
    pool_resource pool(hand_ticked(tidepool::block_source::direct), upstream);
    held_blocks held, small;
    make_a_mess(pool, sleeper, held);
    held.give_back(pool);
    for (int i = 0; i < 100; ++i) small.take(pool, 64);
    void* large = pool.allocate(100'000);
    CHECK(is_aligned(large, 16));
    pool.release();
    CHECK(upstream.counted().blocks_live == small.blocks().size());
    CHECK(small.intact());
    CHECK(upstream.counted().mismatches == 0);
}

TEST_CASE("a direct pool has returned everything at its end if all was deallocated") {
    counting_upstream upstream;
    support::worker sleeper;
    {
        pool_resource pool(hand_ticked(tidepool::block_source::direct), upstream);
        held_blocks held;
        make_a_mess(pool, sleeper, held);
        held.give_back(pool);
    }
    CHECK(upstream.balanced());
}

TEST_CASE("release and destructor of a block pool return every block") {
    counting_upstream upstream;
    std::optional<tidepool::block_pool> pool;
    pool.emplace(200, 64, hand_ticked(), upstream);
    support::worker sleeper;
    for (int round = 0; round < 2; ++round) {
        held_blocks held;
        for (int i = 0; i < 2000; ++i) held.hold(pool->allocate(), 200, 64);
        sleeper.run([&] {
            for (std::size_t i = 0; i < 1000; ++i) pool->deallocate(held.blocks()[i].p);
        });
        held.abandon();
        if (round == 0)
            pool->release();
        else
            pool.reset();
        CHECK(upstream.balanced());
    }
}

}  // namespace

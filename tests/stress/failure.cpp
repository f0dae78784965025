// An upstream that fails at random: each failure becomes a null pointer or std::bad_alloc, no block is lost, and the
// pool stays usable.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <vector>

#include "counting_upstream.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "traffic.hpp"

#include <tidepool/decorators.hpp>
#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

// Fails one allocation in `one_in` at random; 0: none, 1: all. The same numbers fail for the same seed, whichever
// thread makes the call.
class moody : public tidepool::failing_upstream {
public:
    explicit moody(support::counting_upstream& below) noexcept : failing_upstream(below) {}
    void refuse(unsigned one_in) noexcept { fail_one_in(one_in, support::seed()); }
    std::uint64_t refusals() const noexcept { return failures(); }
};

// The same as a memory resource, which throws.
class moody_resource final : public std::pmr::memory_resource {
public:
    explicit moody_resource(moody& how) noexcept : how_(how) {}

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (void* p = how_.allocate(bytes, alignment)) return p;
        throw std::bad_alloc();
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
        how_.deallocate(p, bytes, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

    moody& how_;
};

// Keeps little stock, so that the upstream is called often.
tidepool::pool_options asks_often(tidepool::block_source source) {
    tidepool::pool_options options;
    options.source = source;
    options.decay_interval = 1ms;
    options.max_blocks_per_chunk = 4;
    options.local_bytes_max = 4096;
    options.depot_bytes_max = 0;
    return options;
}

// Checks that the pool serves every request once the upstream does, and that all memory is returned.
void is_whole(tidepool::pool_resource& pool, const support::counting_upstream& books) {
    CHECK(pool.stats().blocks_in_use == 0);
    CHECK(pool.stats().large_blocks == 0);
    const std::size_t held_twice = support::traffic(
        2, support::scaled(20'000), support::mixed_sizes(), [&](std::size_t bytes) { return pool.allocate(bytes, 8); },
        [&](void* block, std::size_t bytes) { pool.deallocate(block, bytes, 8); });
    CHECK(held_twice == 0);
    CHECK(pool.stats().blocks_in_use == 0);
    pool.tick();
    pool.tick();
    CHECK(books.counted().bytes_live() == 0);
}

constexpr std::size_t threads = 6;

void runs_dry_now_and_then(tidepool::block_source source, unsigned one_in, moody& below, tidepool::upstream from,
                           const support::counting_upstream& books) {
    CAPTURE(one_in);
    std::atomic<std::size_t> failures{0};
    {
        tidepool::pool_resource pool(asks_often(source), from);
        below.refuse(one_in);
        // Until a request fails, which takes two failures in a row: the pool reclaims its idle blocks and asks again.
        for (unsigned round = 0; round < 100 && failures == 0; ++round) {
            const std::size_t held_twice = support::traffic(
                threads, support::scaled(50'000), support::mixed_sizes(),
                [&](std::size_t bytes) -> void* {
                    try {
                        return pool.allocate(bytes, 8);
                    } catch (const std::bad_alloc&) {
                        ++failures;
                        return nullptr;
                    }
                },
                [&](void* block, std::size_t bytes) { pool.deallocate(block, bytes, 8); });
            CHECK(held_twice == 0);
        }
        CHECK(below.refusals() > 0);
        CHECK(failures > 0);
        below.refuse(0);
        is_whole(pool, books);
    }
    CHECK(books.balanced());
}

}  // namespace

TEST_CASE("random upstream failures fail only the requests that they hit") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct})
        for (const unsigned one_in : {2U, 10U}) {
            support::counting_upstream books;
            {
                moody below(books);
                runs_dry_now_and_then(source, one_in, below, below, books);
            }
            {
                moody below(books);
                moody_resource thrower(below);
                runs_dry_now_and_then(source, one_in, below, &thrower, books);
            }
        }
}

TEST_CASE("random upstream failures do nothing but make try_allocate return null") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        support::counting_upstream books;
        moody below(books);
        {
            tidepool::pool_options options = asks_often(source);
            tidepool::block_pool pool(20'000, 64, options, below);
            std::atomic<std::size_t> failures{0};
            below.refuse(3);
            for (unsigned round = 0; round < 100 && failures == 0; ++round) {
                const std::size_t held_twice = support::traffic(
                    threads, support::scaled(100'000), {20'000},
                    [&](std::size_t) {
                        void* block = pool.try_allocate();
                        if (!block) ++failures;
                        return block;
                    },
                    [&](void* block, std::size_t) { pool.deallocate(block); });
                CHECK(held_twice == 0);
            }
            CHECK(failures > 0);
            CHECK(pool.stats().blocks_in_use == 0);
            below.refuse(1);
            pool.tick();
            pool.tick();
            CHECK(pool.try_allocate() == nullptr);
            below.refuse(0);
            void* block = pool.try_allocate();
            CHECK(block != nullptr);
            pool.deallocate(block);
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("a pool whose upstream has no memory left serves from its own stock") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        support::counting_upstream books;
        moody below(books);
        {
            tidepool::pool_options options;
            options.source = source;
            options.decay_interval = 0ms;
            tidepool::pool_resource pool(options, below);
            const auto take_all = [&] {
                std::vector<void*> taken;
                try {
                    while (taken.size() < 1000) taken.push_back(pool.allocate(1000, 8));
                } catch (const std::bad_alloc&) {
                }
                return taken;
            };
            const std::vector<void*> first = take_all();
            REQUIRE(first.size() == 1000);
            for (void* each : first) pool.deallocate(each, 1000, 8);
            below.refuse(1);
            // The chaos build may have dropped some.
            const std::vector<void*> second = take_all();
            if constexpr (!tidepool::detail::chaotic) CHECK(second.size() == 1000);
            CHECK(!second.empty());
            CHECK_THROWS_AS(static_cast<void>(pool.allocate(1'000'000, 8)), std::bad_alloc);
            for (void* each : second) pool.deallocate(each, 1000, 8);
            below.refuse(0);
            is_whole(pool, books);
        }
        CHECK(books.balanced());
    }
}

// src: cache/chain.hpp
#include "cache/chain.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "base/arena.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<chain<int>> {
    static void cut_newest(chain<int>& c) {
        c.head_ = c.head_->previous;
        c.check(true);
    }
    static void forget_next(chain<int>& c) {
        c.head_->previous.load()->next = nullptr;
        c.check(true);
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using tidepool::detail::arena;
using tidepool::detail::chain;

namespace {
constexpr std::uint32_t unlimited = 1U << 20;
}

TEST_CASE("a chain grows; its owner pops the newest and a thief the oldest") {
    std::vector<int> v(1000);
    arena rings;
    chain<int> c;
    CHECK(c.empty());
    CHECK(c.pop_head() == nullptr);
    CHECK(c.pop_tail() == nullptr);
    CHECK(rings.bytes() == 0);  // nothing before the first push
    for (int& each : v) CHECK(c.push_head(&each, rings, unlimited));
    for (std::size_t i = 0; i < 500; ++i) {
        CHECK(c.pop_tail() == &v[i]);
        CHECK(c.pop_head() == &v[999 - i]);
    }
    CHECK(c.empty());
    CHECK(c.pop_head() == nullptr);
    CHECK(c.pop_tail() == nullptr);
    CHECK(c.push_head(&v[0], rings, unlimited));
    CHECK_FALSE(c.empty());
    CHECK(c.pop_tail() == &v[0]);
}

TEST_CASE("push to a chain that may not grow further fails") {
    std::vector<int> v(100);
    arena rings;
    chain<int> c;
    std::size_t held = 0;
    while (held < v.size() && c.push_head(&v[held], rings, 16)) ++held;
    CHECK(held == 2 + 4 + 8 + 16);  // rings that were left full, and the largest
    CHECK(c.pop_head() == &v[held - 1]);
    CHECK(c.push_head(&v[held - 1], rings, 16));
    CHECK_FALSE(c.push_head(&v[held], rings, 16));
    std::set<int*> got;
    while (int* each = c.pop_tail()) got.insert(each);
    CHECK(got.size() == held);
}

TEST_CASE("a chain that is filled and emptied repeatedly allocates only once") {
    int value = 0;
    arena rings;
    chain<int> c;
    std::size_t early = 0;
    for (int round = 0; round < 10'000; ++round) {
        for (int i = 0; i < 100; ++i) REQUIRE(c.push_head(&value, rings, unlimited));
        for (int i = 0; i < 50; ++i) REQUIRE(c.pop_tail() == &value);
        for (int i = 0; i < 50; ++i) REQUIRE(c.pop_head() == &value);
        REQUIRE(c.empty());
        if (round == 10) early = rings.bytes();
    }
    CHECK(rings.bytes() == early);
}

TEST_CASE("a full ring is not dropped while it still holds values") {
    // Many young chains, because only small rings can fill up between a thief's two reads: see chain::pop_tail().
    constexpr std::size_t rounds = support::scaled(200'000), thieves = 3, values = 60;
    std::vector<std::atomic<std::uint8_t>> seen(rounds * values);
    arena rings;
    std::vector<chain<std::atomic<std::uint8_t>>> chains(rounds);
    std::atomic<std::size_t> current{0};
    support::on_threads(thieves + 1, [&](std::size_t me) {
        const auto see = [](std::atomic<std::uint8_t>* value) { value->fetch_add(1, std::memory_order_relaxed); };
        if (me < thieves) {
            for (std::size_t round; (round = current.load()) < rounds;)
                if (auto* value = chains[round].pop_tail()) see(value);
            return;
        }
        for (std::size_t round = 0; round < rounds; ++round) {
            for (std::size_t i = 0; i < values; ++i) {
                auto* value = &seen[round * values + i];
                if (!chains[round].push_head(value, rings, unlimited)) see(value);
            }
            current = round + 1;
            while (auto* value = chains[round].pop_tail()) see(value);
        }
    });
    std::size_t not_once = 0;
    for (const auto& each : seen) not_once += each != 1;
    CHECK(not_once == 0);
}

TEST_CASE("an owner and nine thieves of a chain pop each of two million values once") {
    constexpr std::size_t values = support::scaled(2'000'000), thieves = 9;
    struct cell {
        std::uint64_t written = 0;  // plain: published by the push, so a data race here is a bug of the chain
        std::atomic<std::uint32_t> seen{0};
    };
    std::vector<cell> cells(values);
    // Small rings that cannot grow and large ones that can: the owner meets full rings, or has many.
    for (const std::uint32_t size_max : {8U, 64U, unlimited}) {
        CAPTURE(size_max);
        const std::size_t count = values;
        for (cell& each : cells) each.seen = 0;
        arena rings;
        chain<cell> c;
        std::atomic<bool> over{false};
        std::atomic<std::size_t> garbled{0}, popped_by_owner{0}, popped_by_thieves{0}, lost_tail{0};
        const auto see = [&](cell* each) {
            if (each->written != static_cast<std::uint64_t>(each - cells.data()) + 1) ++garbled;
            each->seen.fetch_add(1, std::memory_order_relaxed);
        };
        support::on_threads(thieves + 1, [&](std::size_t me) {
            std::size_t popped = 0;
            if (me < thieves) {
                for (;;) {
                    const bool last_look = over.load();
                    if (cell* each = c.pop_tail()) {
                        see(each);
                        ++popped;
                    } else if (last_look) {
                        break;
                    } else {
                        std::this_thread::yield();
                    }
                }
                popped_by_thieves += popped;
                return;
            }
            support::rng random = support::make_rng(size_max);
            for (std::size_t i = 0; i < count; ++i) {
                cells[i].written = i + 1;
                while (!c.push_head(&cells[i], rings, size_max))
                    if (cell* each = c.pop_head()) {
                        see(each);
                        ++popped;
                    }
                // Sometimes the owner pops many, so that it returns to older rings while thieves drop them.
                for (std::size_t n = random() % 64 == 0 ? random() % 40 : i % 10 == 0; n > 0; --n)
                    if (cell* each = c.pop_head()) {
                        see(each);
                        ++popped;
                    }
            }
            over = true;
            popped_by_owner += popped;
        });
        if (!c.empty()) ++lost_tail;
        std::size_t not_once = 0;
        for (std::size_t i = 0; i < count; ++i) not_once += cells[i].seen != 1;
        CHECK(not_once == 0);
        CHECK(lost_tail == 0);
        CHECK(garbled == 0);
        CHECK(popped_by_owner > 0);
        CHECK(popped_by_thieves > 0);
        CHECK(popped_by_owner + popped_by_thieves == count);
    }
}

TEST_CASE("check() finds a chain that does not end at its newest ring, or is half linked") {
    std::vector<int> v(20);
    arena rings;
    chain<int> c;
    c.check(true);
    for (int& each : v) REQUIRE(c.push_head(&each, rings, unlimited));
    for (int i = 0; i < 10; ++i) REQUIRE(c.pop_tail());
    c.check(true);
    using peer = tidepool::detail::test_peer<chain<int>>;
    CHECK(support::died([&] { peer::cut_newest(c); }).said("a chain does not end at its newest ring"));
    CHECK(support::died([&] { peer::forget_next(c); }).violent());
}

TEST_CASE("check() of a chain accepts what thieves do meanwhile") {
    constexpr std::size_t rounds = support::scaled(100'000);
    int value = 0;
    arena rings;
    chain<int> c;
    std::atomic<bool> done{false};
    std::thread thief([&] {
        while (!done) static_cast<void>(c.pop_tail());
    });
    for (std::size_t i = 0; i < rounds; ++i) {
        static_cast<void>(c.push_head(&value, rings, 64));
        if (i % 8 == 0) c.check(false);
    }
    done = true;
    thief.join();
    c.check(true);
}

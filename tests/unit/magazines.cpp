// src: cache/magazines.hpp
#include "cache/magazines.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "cache/magazine_slabs.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<shared_magazine_list> {
    static void hide(shared_magazine_list& list) { list.some_ = false; }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

namespace detail = tidepool::detail;

TEST_CASE("the hot bin of an unused class is both empty and full") {
    const detail::hot_bin unused;
    CHECK(unused.empty());
    CHECK(unused.full());
    CHECK(unused.count() == 0);
}

TEST_CASE("a magazine list is last in, first out") {
    detail::magazine a, b;
    detail::magazine_list list;
    CHECK(list.empty());
    CHECK(list.pop() == nullptr);
    list.push(&a);
    list.push(&b);
    CHECK_FALSE(list.empty());
    CHECK(list.pop() == &b);
    CHECK(list.pop() == &a);
    CHECK(list.pop() == nullptr);
    CHECK(list.empty());
}

TEST_CASE("a shared list neither loses nor duplicates a magazine between threads") {
    constexpr std::size_t threads = 8, each = 50, rounds = support::scaled(100'000);
    std::vector<detail::magazine> magazines(threads * each);
    detail::shared_magazine_list list(detail::lock_rank::outgoing);
    CHECK(list.seems_empty());
    for (auto& m : magazines) list.push(&m);
    CHECK_FALSE(list.seems_empty());
    std::atomic<std::size_t> held_twice{0};
    support::on_threads(threads, [&](std::size_t) {
        for (std::size_t i = 0; i < rounds; ++i) {
            detail::magazine* m = list.pop();
            if (!m) continue;
            // Plain: a popped magazine has one holder, and the lock orders the holders.
            if (!m->empty()) ++held_twice;
            m->set_count(1);
            m->set_count(0);
            list.push(m);
        }
    });
    CHECK(held_twice == 0);
    std::set<detail::magazine*> left;
    while (detail::magazine* m = list.pop()) left.insert(m);
    CHECK(left.size() == magazines.size());
    CHECK(list.seems_empty());
}

TEST_CASE("the stock returns empty magazines of the requested capacity") {
    detail::magazine_slabs slabs;
    detail::magazine_stock stock;
    stock.set_up(5, 256);
    std::vector<detail::magazine*> got;
    for (int i = 0; i < 100; ++i) {
        detail::magazine* m = stock.take(slabs);
        REQUIRE(m);
        CHECK(m->empty());
        CHECK(m->capacity() == 256);
        CHECK(m->size_class() == 5);
        for (std::uint32_t k = 0; k < m->capacity(); ++k)
            m->blocks()[k] = m;  // the address sanitizer or a neighbour would notice an overrun
        got.push_back(m);
    }
    CHECK(std::set<detail::magazine*>(got.begin(), got.end()).size() == got.size());
    for (detail::magazine* m : got)
        for (std::uint32_t k = 0; k < m->capacity(); ++k) REQUIRE(m->blocks()[k] == m);
    for (detail::magazine* m : got) stock.put(m);
    std::set<detail::magazine*> again;
    for (int i = 0; i < 100; ++i) again.insert(stock.take(slabs));
    CHECK(again == std::set<detail::magazine*>(got.begin(), got.end()));
}

TEST_CASE("magazines that circulate between two threads are made once") {
    detail::magazine_slabs slabs;
    detail::magazine_stock stock;
    stock.set_up(0, 64);
    std::size_t early = 0;
    for (int round = 0; round < 10'000; ++round) {
        std::vector<detail::magazine*> in_use;
        for (int i = 0; i < 20; ++i) in_use.push_back(stock.take(slabs));
        for (detail::magazine* m : in_use) stock.put(m);
        if (round == 0) early = slabs.bytes();
    }
    CHECK(slabs.bytes() == early);
}

TEST_CASE("check() finds a magazine that does not belong in the stock") {
    detail::magazine_slabs slabs;
    detail::magazine_stock stock;
    stock.set_up(3, 16);
    detail::magazine* const m = stock.take(slabs);
    stock.put(m);
    stock.check();
    const auto corrupted = [&](auto deed) { return support::died([&] { deed(), stock.check(); }); };
    CHECK(corrupted([&] {
              m->push(m);
          }).said("the stock of size class 3 (16 blocks) has a magazine of class 3 with 1 of 16 blocks"));
    CHECK(corrupted([&] { ::new (m) detail::magazine(2, 16); }).said("has a magazine of class 2 with 0 of 16 blocks"));
    CHECK(corrupted([&] { ::new (m) detail::magazine(3, 8); }).said("has a magazine of class 3 with 0 of 8 blocks"));
}

TEST_CASE("the stock refuses a magazine that is not empty or of another class" * doctest::skip(!detail::checked)) {
    detail::magazine_slabs slabs;
    detail::magazine_stock stock;
    stock.set_up(3, 16);
    detail::magazine* const full = stock.take(slabs);
    full->push(full);
    CHECK(support::died([&] { stock.put(full); }).said("size class 3, of class 3 with 1 of 16 blocks"));
    CHECK(support::died([&] { stock.put(slabs.make(2, 16)); }).said("size class 3, of class 2 with 0 of 16 blocks"));
}

TEST_CASE("check() finds a list of magazines that only seems empty") {
    detail::shared_magazine_list list(detail::lock_rank::outgoing);
    const auto nothing = [](const detail::magazine&) {};
    list.check(nothing);
    detail::magazine m;
    list.push(&m);
    std::size_t seen = 0;
    list.check([&](const detail::magazine& each) { seen += &each == &m; });
    CHECK(seen == 1);
    detail::test_peer<detail::shared_magazine_list>::hide(list);
    CHECK(support::died([&] { list.check(nothing); }).said("does not show whether it is empty"));
}

// src: cache/magazine_slabs.hpp
#include "cache/magazine_slabs.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <set>
#include <vector>

#include "cache/magazines.hpp"
#include "died.hpp"

namespace detail = tidepool::detail;

namespace {

// Magazines of two classes in turn; eight of them take about 17 KiB.
std::vector<detail::magazine*> made(detail::magazine_slabs& slabs, std::size_t count) {
    std::vector<detail::magazine*> all;
    for (std::size_t i = 0; i < count; ++i) {
        detail::magazine* m = i % 2 ? slabs.make(1, 256) : slabs.make(0, 256);
        REQUIRE(m);
        CHECK(m->empty());
        for (std::size_t k = 0; k < m->capacity(); ++k) m->push(m);
        all.push_back(m);
    }
    return all;
}

// Returns these magazines and reports which remain mapped.
std::set<detail::magazine*> kept(detail::magazine_slabs& slabs, const std::vector<detail::magazine*>& idle) {
    detail::magazine_list list;
    for (detail::magazine* m : idle) list.push(m);
    std::set<detail::magazine*> stay;
    slabs.release(list.take_all(), [&](detail::magazine* m) { stay.insert(m); });
    return stay;
}

}  // namespace

TEST_CASE("slabs are mapped on demand") {
    detail::magazine_slabs slabs;
    CHECK(slabs.bytes() == 0);
    CHECK(kept(slabs, {}).empty());
    made(slabs, 1);
    CHECK(slabs.bytes() == 64 << 10);
    made(slabs, 100);
    CHECK(slabs.bytes() > 128 << 10);
}

TEST_CASE("slabs whose magazines are all idle are unmapped, except for the newest") {
    detail::magazine_slabs slabs;
    const std::vector<detail::magazine*> all = made(slabs, 300);
    const std::set<detail::magazine*> stay = kept(slabs, all);
    CHECK(slabs.bytes() == 64 << 10);
    for (detail::magazine* m : stay) CHECK(m->blocks()[255] == m);
    CHECK(kept(slabs, {stay.begin(), stay.end()}) == stay);
}

TEST_CASE("a slab stays mapped until its last magazine is idle") {
    detail::magazine_slabs slabs;
    std::vector<detail::magazine*> all = made(slabs, 300);
    detail::magazine* in_use = all[0];
    all.erase(all.begin());
    const std::set<detail::magazine*> stay = kept(slabs, all);
    CHECK(slabs.bytes() == 128 << 10);
    CHECK(in_use->blocks()[255] == in_use);
    CHECK(stay.count(all[0]) == 1);  // it shares the slab
    std::vector<detail::magazine*> rest(stay.begin(), stay.end());
    rest.push_back(in_use);
    CHECK(kept(slabs, rest).size() < rest.size());
    CHECK(slabs.bytes() == 64 << 10);
}

TEST_CASE("check() finds magazines that do not add up to the used part of their slab") {
    detail::magazine_slabs slabs;
    slabs.check();
    const auto all = made(slabs, 100);
    slabs.check();
    CHECK(support::died([&] {
              ::new (all[50]) detail::magazine(0, 255);
              slabs.check();
          }).said("magazines end at byte"));
}

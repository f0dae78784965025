// src: cache/steal.hpp
#include "cache/steal.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace detail = tidepool::detail;

namespace {

// Locals with a number of magazines each, as steal() sees them.
struct locals {
    detail::hint where;
    std::map<std::uint32_t, int> stock;
    std::vector<std::uint32_t> asked;
    detail::magazine m;

    void put(std::uint32_t n, int count = 1) {
        stock[n] += count;
        where.raise(n);
    }
    detail::magazine* steal(std::uint32_t start, std::uint32_t count) { return steal(start, count, count); }
    // With `first` locals at the first count and `later` at the next ones.
    detail::magazine* steal(std::uint32_t start, std::uint32_t first, std::uint32_t later) {
        asked.clear();
        std::uint32_t count = first;
        return detail::steal(
            where, start, [&] { return std::exchange(count, later); },
            [&](std::uint32_t n) -> detail::magazine* {
                asked.push_back(n);
                if (stock[n] == 0) return nullptr;
                --stock[n];
                return &m;
            },
            [&](std::uint32_t n) { return stock[n] > 0; });
    }
};

}  // namespace

TEST_CASE("a thief asks no local if no bit is set") {
    locals all;
    CHECK(all.steal(0, 100) == nullptr);
    CHECK(all.asked.empty());
}

TEST_CASE("a thief begins at its start and wraps around") {
    locals all;
    for (const std::uint32_t n : {1U, 5U, 9U}) all.put(n);
    CHECK(all.steal(5, 10));
    CHECK(all.asked == std::vector<std::uint32_t>{5});
    CHECK(all.steal(6, 10));
    CHECK(all.asked == std::vector<std::uint32_t>{9});
    CHECK(all.steal(6, 10));
    CHECK(all.asked == std::vector<std::uint32_t>{9, 1});  // 9 was empty; 1 comes after the wrap
    CHECK(all.steal(0, 10) == nullptr);
}

TEST_CASE("a failed search lowers the bit and is not repeated") {
    locals all;
    all.where.raise(3);
    CHECK(all.steal(0, 10) == nullptr);
    CHECK(all.asked == std::vector<std::uint32_t>{3});
    CHECK(all.where.bits() == 0);
    CHECK(all.steal(0, 10) == nullptr);
    CHECK(all.asked.empty());
}

TEST_CASE("a successful search leaves the bit set") {
    locals all;
    all.put(3, 2);
    CHECK(all.steal(0, 10));
    CHECK(all.where.bits() == std::uint64_t{1} << 3);
}

TEST_CASE("locals that share a bit are all asked before it is lowered") {
    locals all;
    all.put(3 + 64 * 2);
    CHECK(all.steal(0, 200));
    CHECK(all.asked == std::vector<std::uint32_t>{3, 67, 131});
    CHECK(all.steal(0, 200) == nullptr);
    CHECK(all.asked == std::vector<std::uint32_t>{3, 67, 131, 195});
    CHECK(all.where.bits() == 0);
}

TEST_CASE("a thief begins in the row of its start, so that it reaches any of many locals") {
    locals all;
    constexpr std::uint32_t count = 64 * 200, far = 3 + 64 * 190;
    all.put(far);
    CHECK(all.steal(0, count) == nullptr);
    CHECK(all.asked.size() == detail::probes_max);
    CHECK(all.where.bits() != 0);
    CHECK(all.steal(64 * 185, count));
    CHECK(all.asked.size() == 6);
    all.put(3);
    CHECK(all.steal(64 * 199, count));  // goes round
    CHECK(all.asked == std::vector<std::uint32_t>{3 + 64 * 199, 3});
}

TEST_CASE("all stock is found from any start, for any number of locals") {
    for (const std::uint32_t count : {1U, 2U, 63U, 64U, 65U, 300U, 1000U})
        for (const std::uint32_t start : {0U, 1U, 62U, 63U, 64U, 299U}) {
            locals all;
            int there = 0;
            for (std::uint32_t n = 0; n < count; n += 7, there += 2) all.put(n, 2);
            // A thief stops at its limit of probes; bits of empty locals stay lowered, so it makes progress.
            int found = 0;
            for (int tries = 0; tries < 4 * there + 100; ++tries)
                if (all.steal(start, count)) ++found;
            CAPTURE(count);
            CAPTURE(start);
            CHECK(found == there);
            CHECK(all.where.bits() == 0);
        }
}

TEST_CASE("a thief asks a bounded number of locals") {
    locals all;
    for (std::uint32_t n = 0; n < 64; ++n) all.where.raise(n);
    CHECK(all.steal(0, 10'000) == nullptr);
    CHECK(all.asked.size() <= detail::probes_max);
}

TEST_CASE("the bit of a local that joined during a search is kept") {
    // The thief has counted 3 locals. Then local 3 joined and pushed stock, or local 64, which shares bit 0.
    for (const std::uint32_t newcomer : {3U, 64U}) {
        locals all;
        all.put(newcomer);
        CHECK(all.steal(0, 3, 65) == nullptr);
        CAPTURE(newcomer);
        CHECK(all.where.bits() != 0);
        CHECK(all.steal(0, 65));
    }
}

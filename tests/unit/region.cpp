// src: source/region.hpp
#include "source/region.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"

namespace {

using tidepool::detail::region;

constexpr unsigned bits = region::page_bits_min;
constexpr std::size_t page = std::size_t{1} << bits, slot_pages = region::slot_bytes / page;

// A region's addresses are never read.
std::byte* const base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);

std::unique_ptr<region> make(std::size_t slots) {
    return std::make_unique<region>(base, slots * region::slot_bytes, bits);
}

enum class state { used, empty, idle, old, expired };

// A region as an array of pages: the first place that is free, for spans at a slot.
struct model {
    std::vector<state> pages;

    bool is_free(std::size_t at, std::size_t count) const {
        return at + count <= pages.size() && std::all_of(pages.begin() + static_cast<std::ptrdiff_t>(at),
                                                         pages.begin() + static_cast<std::ptrdiff_t>(at + count),
                                                         [](state s) { return s != state::used; });
    }
    std::size_t find(std::size_t count, std::size_t step) const {
        for (std::size_t at = 0; at + count <= pages.size(); at += step)
            if (is_free(at, count)) return at;
        return region::nowhere;
    }
    void mark(std::size_t at, std::size_t count, state as) {
        for (std::size_t i = at; i < at + count; ++i) pages[i] = as;
    }
    std::size_t count(state of) const { return static_cast<std::size_t>(std::count(pages.begin(), pages.end(), of)); }
    void age() {
        for (state& s : pages) s = s == state::old ? state::expired : s == state::idle ? state::old : s;
    }
    // The first expired page, and how far there are only those and empty ones, up to the last expired.
    region::run neighbourhood(std::size_t most) const {
        std::size_t first = 0;
        while (pages[first] != state::expired) ++first;
        std::size_t end = first + 1;
        for (std::size_t at = end; at < std::min(pages.size(), first + most); ++at) {
            if (pages[at] != state::expired && pages[at] != state::empty) break;
            if (pages[at] == state::expired) end = at + 1;
        }
        return {first, end - first};
    }
};

// A region beside its model.
struct pair {
    explicit pair(std::size_t slots) : r(make(slots)), m{std::vector<state>(slots * slot_pages, state::empty)} {}

    void take(std::size_t count, bool span) {
        const std::size_t at = m.find(count, span ? slot_pages : 1);
        region::stained with;
        REQUIRE(r->take(count, span, &with) == at);
        if (at == region::nowhere) return;
        for (std::size_t i = 0; i < count; ++i) REQUIRE(with[i] == (m.pages[at + i] != state::empty));
        m.mark(at, count, state::used);
        out.push_back({at, count});
    }
    void give(std::size_t which, region::as what) {
        std::swap(out[which], out.back());
        const region::run block = out.back();
        out.pop_back();
        r->give(block, what);
        m.mark(block.first, block.count, what == region::as::idle ? state::idle : state::expired);
    }
    void resize(std::size_t which, std::size_t count) {
        region::run& block = out[which];
        const std::size_t end = block.first + block.count;
        const bool fits = count <= block.count || m.is_free(end, count - block.count);
        REQUIRE(r->resize(block, count) == fits);
        if (!fits) return;
        if (count < block.count) m.mark(block.first + count, block.count - count, state::idle);
        if (count > block.count) m.mark(end, count - block.count, state::used);
        block.count = count;
    }
    void empty_some(std::size_t most) {
        if (m.count(state::expired) == 0) return;
        const region::run wanted = m.neighbourhood(most), found = r->take_expired(most);
        REQUIRE(std::pair(found.first, found.count) == std::pair(wanted.first, wanted.count));
        m.mark(found.first, found.count, state::empty);
        r->give(found, region::as::empty);
    }
    void compare() const {
        REQUIRE(r->free == r->pages - m.count(state::used));
        REQUIRE(r->idle == m.count(state::idle) + m.count(state::old));
        REQUIRE(r->expired == m.count(state::expired));
        REQUIRE(r->all_free() == out.empty());
    }

    std::unique_ptr<region> r;
    model m;
    std::vector<region::run> out;
};

}  // namespace

TEST_CASE("a region serves, ages and empties pages as a model does") {
    support::rng random = support::make_rng();
    for (const std::size_t slots : {8U, 9U, 64U, 100U, 512U}) {
        CAPTURE(slots);
        pair p(slots);
        for (std::size_t i = 0; i < support::scaled(10'000); ++i) {
            const bool grows = i / 1000 % 2 == 0;
            const std::size_t any = p.out.empty() ? 0 : random() % p.out.size();
            const std::size_t choice = random() % 32;
            if (choice == 0)
                p.r->age(), p.m.age();
            else if (choice == 1)
                p.empty_some(1 + random() % 300);
            else if (choice == 2 && !p.out.empty())
                p.resize(any, 1 + random() % 40);
            else if (p.out.empty() || choice < (grows ? 20U : 14U))
                random() % 3 ? p.take(1 + (random() % 8 ? random() % 40 : random() % region::span_pages_max), false)
                             : p.take(slot_pages << random() % 3, true);
            else
                p.give(any, random() % 4 ? region::as::idle : region::as::expired);
            p.compare();
            if (i % 16 == 0) p.r->check();
        }
    }
}

TEST_CASE("idle pages expire at the second tick, those that are used between do not") {
    pair p(4);
    for (int i = 0; i < 3; ++i) p.take(10, false);
    p.give(2, region::as::idle);
    p.give(1, region::as::idle);
    p.r->age();
    CHECK(p.r->expired == 0);
    CHECK(p.r->take(10, false) == 10);
    p.r->give({10, 10}, region::as::idle);
    p.r->age();
    CHECK(p.r->expired == 10);
    CHECK(p.r->idle == 10);
    p.r->age(true);
    CHECK(p.r->expired == 20);
    p.r->check();
}

TEST_CASE("the last idle pages of a region expire first, by words of 64") {
    pair p(40);
    p.take(600, false);
    p.give(0, region::as::idle);
    p.r->expire_last(1);
    CHECK(p.r->expired == 600 % 64);
    p.r->expire_last(65);
    CHECK(p.r->expired == 600 % 64 + 128);
    p.r->check();
    CHECK(p.r->take_expired(1000).first == 600 / 64 * 64 - 128);
    p.r->expire_last(10'000);
    CHECK(p.r->idle == 0);
    p.r->check();
}

TEST_CASE("a region holds its own addresses only") {
    const auto r = make(3);
    CHECK(r->holds(base));
    CHECK(r->holds(base + 3 * region::slot_bytes - 1));
    CHECK_FALSE(r->holds(base + 3 * region::slot_bytes));
    CHECK_FALSE(r->holds(base - 1));
}

TEST_CASE("pages may be as large as slots") {
    const auto r = std::make_unique<region>(base, 8 * region::slot_bytes, 16U);
    CHECK(r->pages == 8);
    CHECK(r->pages_of(region::slot_bytes + 1) == 2);
    CHECK(r->take(2, true) == 0);
    CHECK(r->take(1, false) == 2);
    CHECK(r->address(2) == base + 2 * region::slot_bytes);
    CHECK(r->take(6, false) == region::nowhere);
    r->check();
}

TEST_CASE("check() finds wrong counts, states and room") {
    auto r = make(8);
    r->take(20, false);
    r->check();
    CHECK(support::died([&] {
              r->words[0].used ^= std::uint64_t{1} << 50;
              r->check();
          }).said("free pages and counts"));
    CHECK(support::died([&] {
              r->words[0].idle = 1;
              r->check();
          }).said("two states at once"));
    CHECK(support::died([&] {
              r->words[1].idle = 1;
              r->check();
          }).said("idle and"));
    CHECK(support::died([&] {
              r->longest[0] = 3;
              r->check();
          }).said("pages of room and notes 3"));
    CHECK(support::died([&] {
              r->room = 3;
              r->check();
          }).said("pages of room and counts 3"));
    CHECK(support::died([&] {
              r->slots_room = 2;
              r->check();
          }).said("says that it has not"));
}

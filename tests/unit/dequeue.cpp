// src: cache/dequeue.hpp
#include "cache/dequeue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"

using tidepool::detail::dequeue;
using tidepool::detail::pushed;

namespace {

// Both ends will soon count past 2^32.
constexpr std::uint32_t nearly_wrapped = static_cast<std::uint32_t>(-500);

template <std::uint32_t Size>
struct ring {
    std::array<std::atomic<int*>, Size> slots{};
    dequeue<int> values;
    explicit ring(std::uint32_t start) : values(slots.data(), Size, start) {}
};

}  // namespace

TEST_CASE("the owner pops the newest value and a thief the oldest") {
    std::array<int, 4> v{};
    ring<4> r(nearly_wrapped);
    CHECK(r.values.empty());
    CHECK(r.values.pop_head() == nullptr);
    CHECK(r.values.pop_tail() == nullptr);
    for (int& each : v) CHECK(r.values.push_head(&each) == pushed::yes);
    CHECK_FALSE(r.values.empty());
    CHECK(r.values.pop_head() == &v[3]);
    CHECK(r.values.pop_tail() == &v[0]);
    CHECK(r.values.pop_tail() == &v[1]);
    CHECK(r.values.pop_head() == &v[2]);
    CHECK(r.values.empty());
    CHECK(r.values.pop_head() == nullptr);
    CHECK(r.values.pop_tail() == nullptr);
}

TEST_CASE("a ring holds as many values as its size and rejects one more") {
    std::array<int, 8> v{};
    ring<8> r(0);
    CHECK(r.values.size() == 8);
    for (int& each : v) CHECK(r.values.push_head(&each) == pushed::yes);
    int more = 0;
    CHECK(r.values.push_head(&more) == pushed::full);
    CHECK(r.values.pop_tail() == &v[0]);
    CHECK(r.values.push_head(&more) == pushed::yes);
    CHECK(r.values.push_head(&more) == pushed::full);
}

TEST_CASE("push to a slot that a thief has claimed but not cleared reports busy, not full") {
    std::array<int, 4> v{};
    ring<4> r(0);
    for (int& each : v) CHECK(r.values.push_head(&each) == pushed::yes);
    CHECK(r.values.pop_tail() == &v[0]);
    r.slots[0].store(&v[0]);  // as if the thief had not reached its last line
    CHECK(r.values.push_head(&v[0]) == pushed::busy);
    CHECK(r.values.push_head(&v[0]) == pushed::busy);
    r.slots[0].store(nullptr);
    CHECK(r.values.push_head(&v[0]) == pushed::yes);
}

TEST_CASE("both ends keep counting past 2^32") {
    int value = 0;
    ring<8> r(nearly_wrapped);
    for (int round = 0; round < 1000; ++round) {
        for (int i = 0; i < 8; ++i) REQUIRE(r.values.push_head(&value) == pushed::yes);
        REQUIRE(r.values.push_head(&value) == pushed::full);
        for (int i = 0; i < 4; ++i) REQUIRE(r.values.pop_tail() == &value);
        for (int i = 0; i < 4; ++i) REQUIRE(r.values.pop_head() == &value);
        REQUIRE(r.values.empty());
        REQUIRE(r.values.push_head(&value) == pushed::yes);
        REQUIRE(r.values.pop_tail() == &value);
    }
}

TEST_CASE("an owner and nine thieves of a dequeue pop each of two million values once") {
    constexpr std::size_t values = support::scaled(2'000'000), thieves = 9;
    struct cell {
        std::uint64_t written = 0;  // plain: published by the push, so a data race here is a bug of the dequeue
        std::atomic<std::uint32_t> seen{0};
    };
    std::vector<cell> cells(values);
    std::array<std::atomic<cell*>, 16> slots{};
    dequeue<cell> r(slots.data(), 16, nearly_wrapped);
    std::atomic<bool> over{false};
    std::atomic<std::size_t> garbled{0}, popped_by_owner{0}, popped_by_thieves{0};
    const auto see = [&](cell* c) {
        if (c->written != static_cast<std::uint64_t>(c - cells.data()) + 1) ++garbled;
        c->seen.fetch_add(1, std::memory_order_relaxed);
    };
    support::on_threads(thieves + 1, [&](std::size_t me) {
        std::size_t popped = 0;
        if (me < thieves) {
            for (;;) {
                const bool last_look = over.load();
                if (cell* c = r.pop_tail()) {
                    see(c);
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
        for (std::size_t i = 0; i < values; ++i) {
            cells[i].written = i + 1;
            while (r.push_head(&cells[i]) != pushed::yes)
                if (cell* c = r.pop_head()) {
                    see(c);
                    ++popped;
                }
            if (i % 10 == 0)
                if (cell* c = r.pop_head()) {
                    see(c);
                    ++popped;
                }
        }
        over = true;
        popped_by_owner += popped;
    });
    std::size_t not_once = 0;
    for (const cell& c : cells) not_once += c.seen != 1;
    CHECK(not_once == 0);
    CHECK(garbled == 0);
    CHECK(popped_by_owner > 0);
    CHECK(popped_by_thieves > 0);
    CHECK(popped_by_owner + popped_by_thieves == values);
    for (const auto& slot : slots) CHECK(slot.load() == nullptr);
}

TEST_CASE("check() finds an empty slot between the ends, and a used one beyond them") {
    std::array<int, 4> v{};
    ring<4> r(nearly_wrapped);
    for (int i = 0; i < 3; ++i) REQUIRE(r.values.push_head(&v[0]) == pushed::yes);
    REQUIRE(r.values.pop_tail() == &v[0]);
    r.values.check(true);
    const std::size_t tail = (nearly_wrapped + 1) % 4, free = (nearly_wrapped + 3) % 4;
    int* const value = r.slots[tail].exchange(nullptr);
    CHECK(support::died([&] { r.values.check(false); }).said("slot 0 of a dequeue of 2 values is empty"));
    r.slots[tail] = value;
    r.slots[free] = value;
    r.values.check(false);  // a thief may be about to clear it
    CHECK(support::died([&] { r.values.check(true); }).said("slot 2 of a dequeue of 2 values is in use"));
}

TEST_CASE("check() of a dequeue accepts what thieves do meanwhile") {
    constexpr std::size_t rounds = support::scaled(200'000);
    int value = 0;
    ring<8> r(nearly_wrapped);
    std::atomic<bool> done{false};
    std::thread thief([&] {
        while (!done) static_cast<void>(r.values.pop_tail());
    });
    for (std::size_t i = 0; i < rounds; ++i) {
        static_cast<void>(r.values.push_head(&value));
        r.values.check(false);
    }
    done = true;
    thief.join();
    r.values.check(true);
}

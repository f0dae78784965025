// src: cache/hint.hpp
#include "cache/hint.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cache/dequeue.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"

using tidepool::detail::dequeue;
using tidepool::detail::hint;
using tidepool::detail::pushed;

TEST_CASE("each bit stands for every 64th local and is raised when stock is added") {
    hint h;
    CHECK(h.bits() == 0);
    h.raise(0);
    h.raise(63);
    CHECK(h.bits() == (std::uint64_t{1} << 63 | 1));
    h.raise(64 + 5);
    h.raise(5);
    CHECK((h.bits() & std::uint64_t{1} << 5) != 0);
    h.lower(128 + 5, [] { return false; });
    CHECK((h.bits() & std::uint64_t{1} << 5) == 0);
    CHECK(h.bits() == (std::uint64_t{1} << 63 | 1));
}

TEST_CASE("lower() clears the bit first and then looks once more for stock") {
    hint h;
    h.raise(7);
    bool cleared_first = false;
    h.lower(7, [&] {
        cleared_first = h.bits() == 0;
        return true;
    });
    CHECK(cleared_first);
    CHECK(h.bits() == std::uint64_t{1} << 7);
}

TEST_CASE("concurrent raise() and lower() never leave stock without its bit") {
    // Two owners that share a bit, and two thieves. In each round the last push races with thieves that lower the bit.
    // After the round, stock without its bit would never be found again.
    constexpr std::size_t owners = 2, thieves = 2, rounds = support::scaled(30'000);
    struct ring {
        std::array<std::atomic<int*>, 64> slots{};
        dequeue<int> values{slots.data(), 64};
    };
    std::array<ring, owners> rings;
    hint h;
    int value = 0;
    std::atomic<std::size_t> lost{0};
    const auto some_left = [&] { return !rings[0].values.empty() || !rings[1].values.empty(); };
    const auto judge = [&]() noexcept {
        if (some_left() && h.bits() == 0) ++lost;
    };
    std::barrier still(owners + thieves, judge);
    support::on_threads(owners + thieves, [&](std::size_t me) {
        for (std::size_t round = 0; round < rounds; ++round) {
            if (me < owners) {
                const auto number = static_cast<std::uint32_t>(3 + 64 * me);
                for (std::size_t n = 0; n < 1 + round % 3; ++n)
                    if (rings[me].values.push_head(&value) == pushed::yes) h.raise(number);
                if (round % 5 == 0) rings[me].values.pop_head();
            } else {
                for (int n = 0; n < 8 && h.bits() != 0; ++n) {
                    bool got = false;
                    for (ring& r : rings) got = got || r.values.pop_tail();
                    if (!got) h.lower(3, some_left);
                }
            }
            still.arrive_and_wait();
        }
    });
    CHECK(lost == 0);
}

TEST_CASE("check() finds a local with stock but without its bit") {
    hint h;
    h.check(3, false);
    h.raise(3);
    h.check(3, true);
    h.check(64 + 3, true);
    CHECK(support::died([&] { h.check(4, true); }).said("local 4 has stock and no hint says so"));
}

// src: clock/tick_share.hpp
#include "clock/tick_share.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>

using tidepool::detail::tick_share;
using namespace std::chrono_literals;

TEST_CASE("nothing is owed at the tick, all after a quarter of the interval") {
    tick_share share(1s);
    share.begin(10s);
    CHECK(share.owed(1000, 10s) == 0);
    CHECK(share.owed(1000, 10s + 125ms) == 500);
    CHECK(share.owed(500, 10s + 125ms) == 0);
    CHECK(share.owed(500, 10s + 250ms) == 500);
    CHECK(share.owed(3, 11s) == 3);
}

TEST_CASE("a thread that comes by a few times an interval is through before the next tick") {
    for (const auto apart : {50ms, 100ms, 125ms, 200ms}) {
        tick_share share(1s);
        share.begin(0s);
        std::uint64_t waiting = 1'000'000, largest = 0;
        for (auto now = apart; now < 1s; now += apart) {
            const std::uint64_t now_due = share.owed(waiting, now);
            largest = std::max(largest, now_due);
            waiting -= now_due;
        }
        CHECK(waiting == 0);
        CHECK(largest <= 1'000'000U * static_cast<std::uint64_t>(apart / 1ms) / 245);  // no more at once than must be
    }
}

TEST_CASE("what is added after the tick is through in time as well") {
    tick_share share(1s);
    share.begin(0s);
    CHECK(share.owed(100, 100ms) == 40);
    CHECK(share.owed(1060, 100ms) == 424);
    CHECK(share.owed(636, 260ms) == 636);
}

TEST_CASE("nothing is owed where there is no interval, or the clock went back") {
    tick_share never(0s);
    never.begin(0s);
    CHECK(never.owed(1000, 100s) == 0);
    tick_share share(1s);
    share.begin(10s);
    CHECK(share.owed(1000, 9s) == 0);
}

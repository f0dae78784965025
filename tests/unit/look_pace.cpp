// src: clock/look_pace.hpp
#include "clock/look_pace.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

using tidepool::detail::look_pace;
using namespace std::chrono_literals;

namespace {

constexpr auto apart = 125ms;  // an interval of a second

// A bin that serves hits at a steady rate from `from` on, and looks when they are used up.
struct bin {
    look_pace pace;
    double seconds = 0;
    std::int32_t granted = 0;
    int looks = 0;

    // Goes on for that long. Returns the longest time between two looks.
    double serve(double hits_a_second, double for_seconds) {
        double longest = 0;
        const double end = seconds + for_seconds;
        looks = 0;
        while (seconds < end) {
            const double wait = (granted + 1) / hits_a_second;
            seconds += wait;
            longest = std::max(longest, wait);
            ++looks;
            granted = pace.next(look_pace::time(static_cast<std::int64_t>(seconds * 1000)), apart, granted);
        }
        return longest;
    }
};

}  // namespace

TEST_CASE("looks come at least every interval from one hit a second to 10^8 of them") {
    for (double rate = 1; rate <= 1e8; rate *= 10) {
        CAPTURE(rate);
        bin b;
        b.serve(rate, 100 / rate + 3);  // settles
        const double longest = b.serve(rate, std::min(100.0, 3 + 1e6 / rate));
        CHECK(longest <= std::max(0.3, 2.1 / rate));
    }
}

TEST_CASE("looks do not come more often than in one of 1024 hits at full speed") {
    bin b;
    b.serve(1e8, 0.1);
    b.serve(1e8, 0.1);
    CHECK(b.looks <= 1e8 * 0.1 / look_pace::hits_max + 2);
}

TEST_CASE("looks settle between four and sixteen an interval at moderate rates") {
    for (const double rate : {20.0, 100.0, 1000.0, 4000.0}) {
        CAPTURE(rate);
        bin b;
        b.serve(rate, 20);
        b.serve(rate, 10);
        CHECK(b.looks >= 40);
        CHECK(b.looks <= 170);
    }
}

TEST_CASE("a bin that slows down from full speed looks within 1024 hits") {
    for (const double rate : {400.0, 1e4, 1e6}) {
        bin b;
        b.serve(1e8, 0.1);
        CHECK(b.serve(rate, 10) <= 1025 / rate + 0.3);
        CHECK(b.serve(rate, 10) <= 0.3);
    }
}

TEST_CASE("one hit in many seconds leads to a look each") {
    bin b;
    b.serve(1e6, 1);
    b.serve(0.1, 20'000);
    CHECK(b.serve(0.1, 100) <= 21);
}

TEST_CASE("a bin that frees by the magazine looks soon when it slows down") {
    for (const double rate : {20.0, 100.0, 1000.0}) {
        CAPTURE(rate);
        bin b;
        b.serve(1e8, 0.1);
        b.granted = look_pace::hits_first;  // bin::shorten_look()
        CHECK(b.serve(rate, 10) <= std::max(33 / rate, 0.125) + 0.01);
        CHECK(b.serve(rate, 10) <= 0.3);
    }
}

TEST_CASE("a bin that slows down after a burst looks soon") {
    for (const double rate : {20.0, 100.0, 1000.0}) {
        CAPTURE(rate);
        bin b;
        b.serve(1e8, 1e-5);
        CHECK(b.serve(rate, 10) <= std::max(33 / rate, 0.125) + 0.01);
        CHECK(b.serve(rate, 10) <= 0.3);
    }
}

TEST_CASE("a bin that is cut short at full speed is granted at its next look what it had") {
    bin b;
    b.serve(1e8, 0.1);
    const auto now = look_pace::time(static_cast<std::int64_t>(b.seconds * 1000));
    CHECK(b.pace.next(now, apart, look_pace::hits_first) == look_pace::hits_max);
}

TEST_CASE("a clock that stands still, jumps or goes back grants between one hit and 1024") {
    look_pace pace;
    std::int32_t granted = pace.next(5s, apart, 0);
    CHECK(granted == look_pace::hits_first);
    for (int i = 0; i < 100; ++i) granted = pace.next(5s, apart, granted);
    CHECK(granted == look_pace::hits_first);  // a burst proves nothing
    for (auto now = 5s + 4ms; now < 5s + 40ms; now += 4ms)
        for (int i = 0; i < 100; ++i) granted = pace.next(now, apart, granted);
    CHECK(granted == look_pace::hits_max);
    granted = pace.next(15h, apart, granted);
    CHECK(granted == 1);
    granted = pace.next(14h, apart, granted);  // back
    CHECK(granted == look_pace::hits_first);
    CHECK(pace.next(14h, apart, 0) >= 1);
    CHECK(pace.next(14h + 1ms, apart, 1 << 30) == look_pace::growth * look_pace::hits_first);
}

TEST_CASE("where no tick is ever due looks come as seldom as they may") {
    look_pace pace;
    CHECK(pace.next(1s, 0ms, 0) == look_pace::hits_max);
    CHECK(pace.next(100s, 0ms, 5) == look_pace::hits_max);
}

TEST_CASE("the time of a look wraps at 2^27 ms, and that of the clock at 2^32 ms") {
    using ms = look_pace::time;
    for (const std::int64_t wrap : {std::int64_t{1} << 27, std::int64_t{1} << 32, std::int64_t{1} << 40}) {
        look_pace steady, wrapping;
        std::int32_t usual = 0, granted = 0;
        for (int step = -20; step < 20; ++step) {  // a look each 20 ms, for all that was granted
            usual = steady.next(ms(1'000'000 + step * 20), apart, usual);
            granted = wrapping.next(ms(wrap + step * 20 + 7), apart, granted);
            CHECK(granted == usual);
        }
    }
}

TEST_CASE("a look after any time at all grants between one hit and 1024") {
    for (std::int64_t pause = 1; pause < std::int64_t{1} << 45; pause = pause * 3 / 2 + 1) {
        look_pace pace;
        pace.next(5s, apart, 0);
        const std::int32_t granted = pace.next(5s + look_pace::time(pause), apart, look_pace::hits_first);
        CHECK(granted >= 1);
        CHECK(granted <= look_pace::hits_max);
        // The one after that is right again.
        CHECK(pace.next(5s + look_pace::time(pause) + apart, apart, 40) >= 32);
    }
}

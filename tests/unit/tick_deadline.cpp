// src: clock/tick_deadline.hpp
#include "clock/tick_deadline.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>

#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<tick_deadline> {
    static void make_due(tick_deadline& deadline) { deadline.due_ = 1; }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using tidepool::detail::tick_deadline;
using namespace std::chrono_literals;

TEST_CASE("the first tick is due one interval after construction and not before") {
    tick_deadline policy(1s, 100s);
    CHECK(policy.due() == 101s);
    CHECK_FALSE(policy.claim(100s));
    CHECK_FALSE(policy.claim(101s - 1ns));
    CHECK(policy.claim(101s));
    CHECK_FALSE(policy.claim(101s));
    CHECK(policy.due() == 102s);
}

TEST_CASE("missed ticks are not made up for") {
    tick_deadline policy(1s, 0s);
    CHECK(policy.claim(1000s));
    CHECK_FALSE(policy.claim(1000s));
    CHECK_FALSE(policy.claim(1001s - 1ns));
    CHECK(policy.claim(1001s));
}

TEST_CASE("a clock that goes backwards makes no tick due") {
    tick_deadline policy(1s, 100s);
    CHECK(policy.claim(101s));
    CHECK_FALSE(policy.claim(50s));
    CHECK_FALSE(policy.claim(101s));
    CHECK(policy.claim(102s));
}

TEST_CASE("an interval of zero never makes a tick due") {
    tick_deadline policy(0s, 5s);
    CHECK(policy.due() == tick_deadline::never);
    CHECK_FALSE(policy.claim(5s));
    CHECK_FALSE(policy.claim(tick_deadline::never - 1ns));
}

TEST_CASE("a deadline at the end of time does not overflow") {
    tick_deadline policy(24h, tick_deadline::never - 1h);
    CHECK(policy.due() == tick_deadline::never);
    CHECK_FALSE(policy.claim(tick_deadline::never - 1ns));
    tick_deadline edge(1h, tick_deadline::never - 1h);
    CHECK(edge.due() == tick_deadline::never);
}

TEST_CASE("of several threads that ask at once exactly one gets the tick") {
    constexpr std::size_t askers = 8, steps = support::scaled(20'000);
    tick_deadline policy(10ns, 0ns);
    std::atomic<tick_deadline::time::rep> now{0};
    std::atomic<std::size_t> claimed{0}, early{0};
    std::atomic<tick_deadline::time::rep> last{0};
    support::on_threads(askers, [&](std::size_t) {
        for (std::size_t i = 0; i < steps; ++i) {
            const tick_deadline::time at{now.fetch_add(1) + 1};
            const tick_deadline::time due = policy.due();
            if (!policy.claim(at)) continue;
            ++claimed;
            if (at < due) ++early;
            // A later claim had a later time or came later, so the times of the ticks are an interval apart.
            tick_deadline::time::rep before = last.load();
            while (before < at.count() && !last.compare_exchange_weak(before, at.count())) {
            }
        }
    });
    CHECK(early == 0);
    CHECK(claimed > 0);
    CHECK(claimed <= askers * steps / 10);
}

TEST_CASE("check() finds a pool without an interval that is due to tick") {
    tick_deadline rare(1s, 0s), never(0s, 0s);
    rare.check();
    never.check();
    CHECK(support::died([&] {
              tidepool::detail::test_peer<tick_deadline>::make_due(never), never.check();
          }).said("never ticks by itself is due"));
}

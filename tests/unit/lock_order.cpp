// src: base/lock_order.hpp, base/spin_lock.hpp, base/sleeping_lock.hpp, base/lock_guard.hpp
#include "base/lock_order.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "base/lock_guard.hpp"
#include "base/sleeping_lock.hpp"
#include "base/spin_lock.hpp"
#include "died.hpp"

namespace detail = tidepool::detail;
using detail::lock_rank;

namespace {
template <class First, class Second>
support::death taken_in_turn(lock_rank first, lock_rank second) {
    return support::died([=] {
        First a(first);
        Second b(second);
        const detail::lock_guard hold_a(a);
        const detail::lock_guard hold_b(b);
    });
}

bool can_be_taken(detail::spin_lock& lock) {
    if (!lock.try_lock()) return false;
    lock.unlock();
    return true;
}
}  // namespace

TEST_CASE("locks may be taken in ascending order") {
    using detail::sleeping_lock, detail::spin_lock;
    CHECK_FALSE(taken_in_turn<sleeping_lock, spin_lock>(lock_rank::making, lock_rank::pool_records).violent());
    CHECK_FALSE(taken_in_turn<spin_lock, sleeping_lock>(lock_rank::stock, lock_rank::thread_slots).violent());
}

TEST_CASE("a lock taken under a later one ends the program with both names" * doctest::skip(!detail::checked)) {
    using detail::sleeping_lock, detail::spin_lock;
    const std::string words =
        "lock order: stock (depot: empty magazines of one size class) is taken while idle_spans (";
    CHECK(taken_in_turn<spin_lock, spin_lock>(lock_rank::idle_spans, lock_rank::stock).said(words));
    CHECK(taken_in_turn<sleeping_lock, spin_lock>(lock_rank::idle_spans, lock_rank::stock).said(words));
    CHECK(taken_in_turn<spin_lock, sleeping_lock>(lock_rank::idle_spans, lock_rank::stock).said(words));
}

TEST_CASE("holding two locks of one rank ends the program" * doctest::skip(!detail::checked)) {
    CHECK(taken_in_turn<detail::spin_lock, detail::spin_lock>(lock_rank::stock, lock_rank::stock)
              .said("lock order: stock (depot: empty magazines of one size class) is taken while stock ("));
}

TEST_CASE("a try-lock is allowed in any order and counts as held") {
    const auto end = support::died([] {
        detail::spin_lock late(lock_rank::stock), early(lock_rank::ticking);
        const detail::lock_guard hold(late);
        if (!early.try_lock()) _exit(2);
        early.unlock();
    });
    CHECK_FALSE(end.violent());
    const auto bad = support::died([] {
        detail::spin_lock tried(lock_rank::stock), early(lock_rank::making);
        if (!tried.try_lock()) _exit(2);
        const detail::lock_guard hold(early);
        tried.unlock();
    });
    CHECK(bad.violent() == detail::checked);
}

TEST_CASE("a released lock no longer counts as held") {
    detail::spin_lock late(lock_rank::stock), early(lock_rank::making);
    late.lock();
    late.unlock();
    const detail::lock_guard hold(early);
}

TEST_CASE("around a fork, locks of one rank may be taken in turn; the child releases them") {
    detail::spin_lock first(lock_rank::span_class), second(lock_rank::span_class);
    detail::lock_order::begin_fork_series();
    first.lock_for_fork();
    second.lock_for_fork();
    const pid_t child = fork();
    REQUIRE(child >= 0);
    second.unlock_after_fork();
    first.unlock_after_fork();
    if (child == 0) _exit(can_be_taken(first) && can_be_taken(second) ? 0 : 1);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(can_be_taken(first));
    CHECK(can_be_taken(second));
}

TEST_CASE("around a fork, a lock out of order ends the program" * doctest::skip(!detail::checked)) {
    const auto end = support::died([] {
        detail::spin_lock late(lock_rank::idle_spans);
        detail::sleeping_lock early(lock_rank::pool_visiting);
        detail::lock_order::begin_fork_series();
        late.lock_for_fork();
        early.lock_for_fork();
    });
    CHECK(end.said("lock order: pool_visiting ("));
}

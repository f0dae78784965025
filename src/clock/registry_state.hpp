// What the registry knows, and how it goes through its registrants: see registry.hpp.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/asymmetric_fence.hpp"
#include "base/fatal.hpp"
#include "base/forks.hpp"
#include "base/linked_list.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/sleeping_lock.hpp"
#include "base/spin_lock.hpp"
#include "base/stdio_list.hpp"
#include "base/thread_safety.hpp"
#include "base/thread_slots.hpp"
#include "base/waiting.hpp"
#include "clock/registrant.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

struct registry_state {
    using time = std::chrono::nanoseconds;

    // How long a round of turns among those who are due may take, one a look. Who looks that seldom ticks all of them
    // at once.
    static constexpr time turns_max = std::chrono::milliseconds(500);

    // One for looks at all, one for looks at those that are heartbeat_safe().
    struct looks {
        // When to look at the registrants again. Relaxed: a stale value makes a look early or late by one exchange.
        std::atomic<time::rep> earliest{time::max().count()};
        // Whether the last look has left somebody who is due to the next. Relaxed: as `earliest`.
        std::atomic<bool> unfinished{false};
        // Under `ticking`.
        std::uint64_t last = 0;    // who was ticked last
        time since = time::max();  // when the round of turns began that is under way
    };

    sleeping_lock making{lock_rank::making};  // see registry::lock_making()
    sleeping_lock lock{lock_rank::registry};
    linked_list<registrant, &registrant::links_> registrants TIDEPOOL_GUARDED_BY(lock);
    std::uint64_t ids TIDEPOOL_GUARDED_BY(lock) = 0;
    std::uint64_t indices TIDEPOOL_GUARDED_BY(lock) = 1 | 2;  // taken places: no_index, and the default pool's
    spin_lock ticking{lock_rank::ticking};                    // held by tick_due() from end to end; only ever tried
    looks at_all, at_heartbeat_safe;
    std::atomic<pthread_t> ticked_by{};  // who holds `ticking`; relaxed: asked by the only thread of a child
    fork_nest forks;

    void thread_exits(thread_slot& slot) noexcept {
        const lock_guard hold(lock);
        for (registrant* r = registrants.first(); r; r = registrants.after(*r)) r->thread_exits(slot);
    }

    void join(registrant& r) noexcept TIDEPOOL_REQUIRES(lock) {
        r.id_ = ++ids;
        registrants.push_back(r);
        look_at(r);
    }

    // Not later than it is due.
    void look_at(const registrant& r) noexcept TIDEPOOL_REQUIRES(lock) {
        look_at(at_all.earliest, r.due());
        if (r.heartbeat_safe()) look_at(at_heartbeat_safe.earliest, r.due());
    }

    // Not later than `due`.
    void look_at(std::atomic<time::rep>& earliest_of, time due) noexcept TIDEPOOL_REQUIRES(lock) {
        if (due.count() < earliest_of.load(std::memory_order_relaxed))
            earliest_of.store(due.count(), std::memory_order_relaxed);
    }

    bool visited(const registrant& r) noexcept {
        const lock_guard hold(lock);
        return r.visits_ != 0;
    }
    void wait_for_visits(const registrant& r) noexcept {
        for (unsigned round = 0; visited(r); ++round) wait_long(round);
    }

    void pass_over(registrant& r) noexcept {
        {
            const lock_guard hold(lock);
            r.unvisited_ = true;
        }
        wait_for_visits(r);
    }
    void visit_again(registrant& r) noexcept {
        const lock_guard hold(lock);
        r.unvisited_ = false;
        look_at(r);
    }

    // Calls visit(r) for each whose id is above `seen` and at most `most`, without the lock, with `r` kept from leaving
    // meanwhile, until it says false. Then false, too.
    template <class Visit>
    bool for_each(Visit visit, std::uint64_t seen = 0,
                  std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) noexcept {
        for (;;) {
            registrant* r;
            {
                const lock_guard hold(lock);
                for (r = registrants.first(); r && (r->id_ <= seen || r->unvisited_);) r = registrants.after(*r);
                if (!r || r->id_ > most) return true;
                seen = r->id_;
                ++r->visits_;
            }
            const std::uint32_t process = fork_count();
            const bool go_on = visit(*r);
            const lock_guard hold(lock);
            if (process == fork_count()) --r->visits_;  // a child that was forked in the visit has forgotten it
            if (!go_on) return false;
        }
    }

    // Ticks the next of those who are due, in turn, and looks whether there is another; all of them
    // where that goes on for too long. `worked`: somebody had something to do. True where another one is left.
    bool take_turn(looks& of, bool heartbeat_safe_only, time now, bool& worked) noexcept TIDEPOOL_REQUIRES(ticking) {
        const bool in_turn = of.since == time::max() || now - of.since < turns_max;
        auto next = time::max();
        std::uint64_t ticked = of.last;
        const auto visit = [&](registrant& r) noexcept {
            if (heartbeat_safe_only && !r.heartbeat_safe()) return true;
            if (r.due() <= now) {
                if (worked && in_turn) return false;
                if (r.tick_if_due(now)) {
                    worked = true;
                    ticked = r.id_;
                }
            }
            next = std::min(next, r.due());
            return true;
        };
        const std::uint64_t start = of.last;
        const bool left = !(for_each(visit, start) && for_each(visit, 0, start));
        of.last = ticked;
        if (!left)
            of.since = time::max();
        else if (of.since == time::max() || ticked <= start)
            of.since = now;
        const lock_guard hold(lock);
        look_at(of.earliest, left ? time::min() : next);
        return left;
    }

    void check() noexcept {
        const lock_guard hold(lock);
        if (!registrants.whole()) fatal("the list of pools is broken");
        std::uint64_t before = 0;
        for (const registrant* r = registrants.first(); r; before = r->id_, r = registrants.after(*r))
            if (r->id_ <= before || r->id_ > ids)
                fatal("a pool that joined as %zu is listed behind %zu", std::size_t{r->id_}, std::size_t{before});
        if ((indices & 3) != 3) fatal("the places that are not to be given away count as free");
    }

    // `drain`, if not null: called before the pools' locks are taken.
    void before_fork(void (*drain)() noexcept) noexcept {
        if (forks.nested()) return;
        stdio_list::before_fork();
        lock_order::begin_fork_series();
        making.lock_for_fork();
        forks.begin();
        if (drain) drain();
        lock.lock_for_fork();
        for (registrant* r = registrants.first(); r; r = registrants.after(*r)) {
            lock_order::begin_fork_series();
            r->before_fork();
        }
        thread_slots::before_fork();
    }
    void after_fork(fork_nest::end_of which) noexcept {
        if (which == fork_nest::end_of::nested) return;
        lock.assert_held();  // by before_fork()
        const bool in_child = which == fork_nest::end_of::in_child;
        if (in_child)
            restore_child();
        else
            restore_parent();
        lock.unlock_after_fork();
        making.unlock_after_fork();
        if (in_child)
            stdio_list::after_fork_in_child();
        else
            stdio_list::after_fork_in_parent();
    }
    void restore_parent() noexcept TIDEPOOL_REQUIRES(lock) {
        thread_slots::after_fork_in_parent();
        for (registrant* r = registrants.first(); r; r = registrants.after(*r)) r->after_fork_in_parent();
    }
    // The other threads are gone, and with them their visits. Those of this thread are forgotten, too: for_each().
    void restore_child() noexcept TIDEPOOL_REQUIRES(lock) {
        forks_behind.fetch_add(1, std::memory_order_relaxed);
        asymmetric_fence::after_fork_in_child();
        thread_slots::after_fork_in_child();
        // Another thread may have been at it; where this one is, it goes on.
        if (ticked_by.load(std::memory_order_relaxed) != ::pthread_self()) ticking.unlock_after_fork();
        at_all.earliest.store(time::min().count(), std::memory_order_relaxed);
        at_heartbeat_safe.earliest.store(time::min().count(), std::memory_order_relaxed);
        for (registrant* r = registrants.first(); r; r = registrants.after(*r)) {
            r->visits_ = 0;
            r->after_fork_in_child();
        }
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

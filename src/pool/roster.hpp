// Whose locals there are: a thread's way into its own, a visitor's into all. Any thread.
//
// Without membarrier nobody knows whether another thread is inside its local. The caller's own local is visited then,
// and those of threads that have exited, whose stock is in their chains, are drained. Threads that run rotate theirs.
//
// Invariants:
//  1. A thread slot has at most one local in a pool, and the local stays with the slot when the thread exits.
//  2. Locals have dense numbers, are never freed and never move while the pool lives.
//  3. Every local is visited with its owner kept out, or passed over where the owner does not come out in a bounded
//  time. An abandoned one is never visited.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/asymmetric_fence.hpp"
#include "base/sleeping_lock.hpp"
#include "base/stable_table.hpp"
#include "base/thread_slots.hpp"
#include "base/waiting.hpp"
#include "cache/depot.hpp"
#include "cache/local.hpp"
#include "cache/pin.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/magazine.hpp>
#include <tidepool/detail/pin_slot.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class roster {
public:
    // `index`: the pool's place in the threads' tables, known before the first entry.
    roster(depots& shared, const std::uint32_t& index) noexcept : shared_(shared), index_(index) {}

    // Whether other threads are out of reach: the way without membarrier (keep_out()). Asks the system only if there
    // are other threads.
    static bool owners_unreachable() noexcept;

    sleeping_lock growing{lock_rank::pool_growing};    // held while depots or a local are made
    sleeping_lock visiting{lock_rank::pool_visiting};  // one visitor at a time; never held across a call to the source

    // The calling thread inside its local, which is made on first use. Nobody's where there is none to be had: the
    // thread has exited its slot, or there is no memory, or a visitor stays too long, or in a signal handler that has
    // interrupted the owner. `now`: the tick that a new local is as young as. Needs the depots.
    pin enter(std::uint64_t now) noexcept;

    // Loads a magazine from outside into the calling thread's bin, and has count(bin_counters&) note why. False when
    // the thread cannot enter.
    template <class Count>
    bool install(magazine* m, Count count) noexcept {
        pin mine = enter(0);  // has its local already
        if (!mine) return false;
        bin own = mine.of(m->size_class());
        own.load(m);
        count(own.counted());
        return true;
    }

    // A magazine of a generation from another local, the next in number first; of the old one, one's own first. Null
    // when none is found in a bounded number of probes. Lock-free.
    magazine* steal(bin& own, generation g) noexcept {
        return own.shared().hint_of(g).bits() == 0 ? nullptr : search(own, g);
    }

    std::uint32_t count() const noexcept { return count_.load(std::memory_order_acquire); }  // partner: add()

    // Calls look(local&) for each local there is.
    template <class Look>
    void for_each(Look look) noexcept {
        const std::uint32_t locals = count();
        for (std::uint32_t n = 0; n < locals; ++n) look(*by_number_.get(n));
    }

    // How long a visitor waits for the owners of a group, in rounds of wait_long(). An owner that runs comes out within
    // the brief time; one that the system keeps from running does not, as a rule, come out within either.
    enum patience : unsigned { brief = 128, with_naps = 160 };

    // Calls look(pin&) for each local with wanted(const local&), with its owner kept out. Returns how many were passed
    // over because their owner is inside. Needs `visiting`. Groups share one heavy fence, so the cost of a visit is one
    // for each 64 threads, and nobody is kept waiting for longer than a group takes.
    template <class Wanted, class Look>
    std::uint32_t visit(Wanted wanted, patience how_long, Look look) noexcept TIDEPOOL_REQUIRES(visiting);
    template <class Look>
    void visit(Look look) noexcept TIDEPOOL_REQUIRES(visiting) {
        visit([](const local&) { return true; }, with_naps, look);
    }

    // Calls look(local&, pin&) for each, where nobody else may be using the pool.
    template <class Look>
    void visit_alone(Look look) noexcept TIDEPOOL_REQUIRES(visiting) {
        for_each([&](local& each) {
            pin theirs(each, pin::who::visitor);
            look(each, theirs);
        });
    }

    // Takes magazines out of chains that hold more than the share of their local, from the tails, the older generation
    // first, until they have had `bytes` of blocks; calls give(m) for each. Of other threads' what thieves may take.
    template <class Give>
    void call_in(std::uint64_t bytes, Give give) noexcept;

    // Sends down what is in a local's chains, taken as a thief takes it.
    void drain(local& each) noexcept;

    // The calling thread exits: its private magazines go to its chain, where all can take them, and where they age on.
    void thread_exits(std::uint32_t slot) noexcept;

    // Around a fork, by the forking thread, which takes both locks first. Stops all owners, and waits until they are
    // outside; not for ever, since one may have been stopped by a debugger.
    void stop_all() noexcept;
    void reopen_all() noexcept;
    // In the child: what the other threads had is stock for all.
    void inherit() noexcept;

private:
    // Locals that are stopped together, and share one heavy fence.
    static constexpr std::uint32_t visited_at_once = 64;

    // Once locals are stopped: whether owners who are not inside stay out from here on. A thread that has no slot yet
    // sees that they are stopped when it is given one; only other threads that have one need the heavy fence.
    static bool keep_out() noexcept { return thread_slots::alone() || asymmetric_fence::heavy(); }
    // Where that is not to be had: all are reopened but the caller's own, which comes first. How many that is.
    std::size_t keep_own(local** group, std::size_t count) noexcept;

    template <class Look>
    static std::uint32_t visit_stopped(local** group, std::size_t count, patience how_long, Look look) noexcept;
    magazine* search(bin& own, generation g) noexcept;
    local* mine(std::uint64_t now) noexcept;
    local* callers() const noexcept;  // the calling thread's, if it has one
    local* add(thread_slot& slot, std::uint64_t now) noexcept;
    static pin enter(local& mine) noexcept;
    // Its owner is gone with the local half changed: only thieves go there from now on.
    void abandon(local& its, std::uint32_t slot) noexcept;

    depots& shared_;
    const std::uint32_t& index_;
    stable_table<local> by_number_;
    stable_table<local> by_slot_;
    std::atomic<std::uint32_t> count_{0};  // locals that exist; written under `growing`
    bool kept_out_ = false;                // by the fork under way; under both locks
};

template <class Give>
void roster::call_in(std::uint64_t bytes, Give give) noexcept {
    std::uint64_t had = 0;
    const local* mine = callers();
    for_each([&](local& each) {
        for (const generation g : {generation::old, generation::young})
            for (std::uint32_t c = 0; c < shared_.sizes.count && each.over_share(); ++c)
                while (had < bytes && each.over_share()) {
                    magazine* m = &each == mine ? each.take_tail(c, g) : each.steal(c, g);
                    if (!m) break;
                    had += m->count() * shared_.sizes[c];
                    give(m);
                }
    });
}

template <class Wanted, class Look>
std::uint32_t roster::visit(Wanted wanted, patience how_long, Look look) noexcept {
    const std::uint32_t locals = count();
    std::uint32_t passed_over = 0;
    std::array<local*, visited_at_once> group;
    for (std::uint32_t n = 0; n < locals;) {
        std::size_t stopped = 0;
        for (; n < locals && stopped < visited_at_once; ++n) {
            local* each = by_number_.get(n);
            if (each->abandoned || !wanted(*each)) continue;
            each->head->stop();
            group[stopped++] = each;
        }
        if (stopped == 0) break;
        const std::size_t visited = keep_out() ? stopped : keep_own(group.data(), stopped);
        passed_over += visit_stopped(group.data(), visited, how_long, look);
    }
    return passed_over;
}

// Those first whose owners are outside, so that none of them waits for another's.
template <class Look>
std::uint32_t roster::visit_stopped(local** group, std::size_t count, patience how_long, Look look) noexcept {
    const auto look_at = [&](local& each) {
        {
            pin theirs(each, pin::who::visitor);
            look(theirs);
        }
        each.head->reopen();
    };
    std::size_t inside = 0;
    for (std::size_t i = 0; i < count; ++i)
        if (group[i]->occupied())
            group[inside++] = group[i];
        else
            look_at(*group[i]);
    std::uint32_t passed_over = 0;
    unsigned round = 0;
    for (std::size_t i = 0; i < inside; ++i) {
        for (; group[i]->occupied() && round < how_long; ++round) wait_long(round);
        if (!group[i]->occupied()) {
            look_at(*group[i]);
            continue;
        }
        group[i]->head->reopen();
        ++passed_over;
    }
    return passed_over;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

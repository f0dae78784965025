#include "registry.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <mutex>

#include "base/handshake.hpp"
#include "base/immortal.hpp"
#include "base/sleeping_lock.hpp"
#include "base/spin_lock.hpp"
#include "base/thread_slots.hpp"

namespace tidepool::inline TIDEPOOL_ABI::detail {

struct registry_state {
    using time = std::chrono::nanoseconds;

    sleeping_lock making;                 // see registry::making()
    sleeping_lock lock;                   // guards what follows, but for the last four
    registrant* first = nullptr;
    registrant* last = nullptr;
    std::uint64_t ids = 0;
    std::uint64_t indices = 1 | 2;        // taken places: no_index, and the default pool's
    spin_lock ticking;                    // held by tick_due() from end to end; only ever tried
    // When to look at the registrants again: at all, and at the leaves. Relaxed: a stale value makes a look early or late by
    // one exchange.
    std::atomic<time::rep> earliest{time::max().count()};
    std::atomic<time::rep> earliest_leaf{time::max().count()};
    bool forked = false;                  // written while there is one thread

    void thread_exits(thread_slot& slot) noexcept {
        std::scoped_lock hold(lock);
        for (registrant* r = first; r; r = r->next_) r->thread_exits(slot);
    }

    void join(registrant& r) noexcept {
        r.id_ = ++ids;
        r.previous_ = last;
        (last ? last->next_ : first) = &r;
        last = &r;
        look_at(earliest, r.due());
        if (r.leaf()) look_at(earliest_leaf, r.due());
    }

    // Under the lock: not later than `due`.
    static void look_at(std::atomic<time::rep>& earliest_of, time due) noexcept {
        if (due.count() < earliest_of.load(std::memory_order_relaxed))
            earliest_of.store(due.count(), std::memory_order_relaxed);
    }

    void leave(registrant& r) noexcept {
        (r.previous_ ? r.previous_->next_ : first) = r.next_;
        (r.next_ ? r.next_->previous_ : last) = r.previous_;
    }

    bool visited(const registrant& r) noexcept {
        std::scoped_lock hold(lock);
        return r.visits_ != 0;
    }

    // Calls visit(r) for each, without the lock, with `r` kept from leaving meanwhile.
    template <class Visit>
    void for_each(Visit visit) noexcept {
        std::uint64_t seen = 0;
        for (;;) {
            registrant* r;
            {
                std::scoped_lock hold(lock);
                for (r = first; r && r->id_ <= seen;) r = r->next_;
                if (!r) return;
                seen = r->id_;
                ++r->visits_;
            }
            visit(*r);
            std::scoped_lock hold(lock);
            --r->visits_;
        }
    }

    void before_fork() noexcept {
        making.lock();
        lock.lock();
        for (registrant* r = first; r; r = r->next_) r->before_fork();
        thread_slots::before_fork();
    }
    void after_fork_in_parent() noexcept {
        thread_slots::after_fork_in_parent();
        for (registrant* r = first; r; r = r->next_) r->after_fork_in_parent();
        lock.unlock();
        making.unlock();
    }
    // The other threads are gone, and with them their visits.
    void after_fork_in_child() noexcept {
        handshake::after_fork_in_child();
        thread_slots::after_fork_in_child();
        ticking.unlock();  // one of them may have been at it
        earliest.store(time::min().count(), std::memory_order_relaxed);
        earliest_leaf.store(time::min().count(), std::memory_order_relaxed);
        for (registrant* r = first; r; r = r->next_) {
            r->visits_ = 0;
            r->after_fork_in_child();
        }
        forked = true;
        lock.unlock();
        making.unlock();
    }
};

namespace {

// Pools may live longer than static destructors run.
constinit immortal<registry_state> the_registry;

registry_state& state() noexcept { return the_registry.it; }

}  // namespace

namespace registry {

std::uint32_t join(registrant& r, std::uint32_t wanted) noexcept {
    registry_state& all = state();
    thread_slots::on_exit([](thread_slot& slot) { state().thread_exits(slot); });
    std::scoped_lock hold(all.lock);
    all.join(r);
    if (wanted != no_index) return wanted;
    const auto index = static_cast<std::uint32_t>(std::countr_one(all.indices));
    if (index >= direct_pools) return no_index;
    all.indices |= std::uint64_t{1} << index;
    return index;
}

void leave(registrant& r, std::uint32_t index) noexcept {
    registry_state& all = state();
    {
        std::scoped_lock hold(all.lock);
        all.leave(r);
    }
    for (unsigned round = 0; all.visited(r); ++round) wait_politely(round);
    if (index == no_index) return;
    std::scoped_lock hold(all.lock);
    thread_slots::forget(index);  // before the place can be taken again
    all.indices &= ~(std::uint64_t{1} << index);
}

void before_fork() noexcept { state().before_fork(); }
void after_fork_in_parent() noexcept { state().after_fork_in_parent(); }
void after_fork_in_child() noexcept { state().after_fork_in_child(); }
bool forked() noexcept { return state().forked; }
sleeping_lock& making() noexcept { return state().making; }

void tick_all() noexcept {
    state().for_each([](registrant& r) { r.tick_now(); });
}

bool tick_due(std::chrono::nanoseconds now, which those) noexcept {
    registry_state& all = state();
    std::atomic<registry_state::time::rep>& earliest = those == which::all ? all.earliest : all.earliest_leaf;
    if (now.count() < earliest.load(std::memory_order_relaxed)) return false;
    if (!all.ticking.try_lock()) return false;
    // Whoever joins from here on lowers it again.
    earliest.store(registry_state::time::max().count(), std::memory_order_relaxed);
    auto next = registry_state::time::max();
    bool worked = false;
    all.for_each([&](registrant& r) {
        if (those == which::leaves && !r.leaf()) return;
        if (r.tick_if_due(now)) worked = true;
        next = std::min(next, r.due());
    });
    {
        std::scoped_lock hold(all.lock);
        registry_state::look_at(earliest, next);
    }
    all.ticking.unlock();
    return worked;
}

void relieve(const void* allocator, relief how) noexcept {
    state().for_each([&](registrant& r) { r.relieve(allocator, how); });
}

}  // namespace registry

}  // namespace tidepool::inline TIDEPOOL_ABI::detail

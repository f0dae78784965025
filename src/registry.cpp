#include "registry.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <limits>
#include <mutex>

#include "base/spin_lock.hpp"
#include "base/thread_slots.hpp"

namespace tidepool::inline TIDEPOOL_ABI::detail {

// Process-wide and never destroyed: pools may live longer than static destructors run.
struct registry_state {
    using time = std::chrono::nanoseconds;

    std::mutex lock;                      // guards all below but `earliest`
    std::condition_variable visit_over;
    registrant* first = nullptr;
    registrant* last = nullptr;
    std::uint64_t ids = 0;
    std::uint64_t indices = 1 | 2;        // taken places: no_index, and the default pool's
    spin_lock ticking;                    // held by tick_due() from end to end; only ever tried
    // When to look at the registrants again: at all, and at the leaves. Relaxed: a stale value makes a look early or late by
    // one exchange.
    std::atomic<time::rep> earliest{time::max().count()};
    std::atomic<time::rep> earliest_leaf{time::max().count()};

    static registry_state& get() noexcept {
        alignas(registry_state) static std::byte place[sizeof(registry_state)];
        static registry_state& only = [&]() -> registry_state& {
            auto* state = ::new (place) registry_state;
            thread_slots::on_exit([](thread_slot& slot) { get().thread_exits(slot); });
            return *state;
        }();
        return only;
    }

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

    void leave(registrant& r, std::unique_lock<std::mutex>& hold) noexcept {
        (r.previous_ ? r.previous_->next_ : first) = r.next_;
        (r.next_ ? r.next_->previous_ : last) = r.previous_;
        visit_over.wait(hold, [&] { return r.visits_ == 0; });
    }

    // Calls visit(r) for each, without the lock, with `r` kept from leaving meanwhile.
    template <class Visit>
    void for_each(Visit visit) noexcept {
        std::unique_lock hold(lock);
        std::uint64_t seen = 0;
        for (;;) {
            registrant* r = first;
            while (r && r->id_ <= seen) r = r->next_;
            if (!r) return;
            seen = r->id_;
            ++r->visits_;
            hold.unlock();
            visit(*r);
            hold.lock();
            if (--r->visits_ == 0) visit_over.notify_all();
        }
    }
};

namespace registry {

std::uint32_t join(registrant& r, std::uint32_t wanted) noexcept {
    registry_state& all = registry_state::get();
    std::scoped_lock hold(all.lock);
    all.join(r);
    if (wanted != no_index) return wanted;
    const auto index = static_cast<std::uint32_t>(std::countr_one(all.indices));
    if (index >= direct_pools) return no_index;
    all.indices |= std::uint64_t{1} << index;
    return index;
}

void leave(registrant& r, std::uint32_t index) noexcept {
    registry_state& all = registry_state::get();
    std::unique_lock hold(all.lock);
    all.leave(r, hold);
    if (index == no_index) return;
    thread_slots::forget(index);  // before the place can be taken again
    all.indices &= ~(std::uint64_t{1} << index);
}

void tick_all() noexcept {
    registry_state::get().for_each([](registrant& r) { r.tick_now(); });
}

bool tick_due(std::chrono::nanoseconds now, which those) noexcept {
    registry_state& all = registry_state::get();
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
    registry_state::get().for_each([&](registrant& r) { r.relieve(allocator, how); });
}

}  // namespace registry

}  // namespace tidepool::inline TIDEPOOL_ABI::detail

#include "clock/registry.hpp"

#include <pthread.h>

#include <bit>

#include "base/immortal.hpp"
#include "base/lock_guard.hpp"
#include "base/thread_slots.hpp"
#include "clock/registry_state.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

// Pools may live longer than static destructors run.
constinit immortal<registry_state> the_registry;

registry_state& state() noexcept { return the_registry.it; }

}  // namespace

namespace registry {

std::uint32_t join(registrant& r, std::uint32_t wanted) noexcept {
    registry_state& all = state();
    thread_slots::on_exit([](thread_slot& slot) { state().thread_exits(slot); });
    const lock_guard hold(all.lock);
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
        const lock_guard hold(all.lock);
        all.registrants.remove(r);
    }
    all.wait_for_visits(r);
    if (index == no_index) return;
    const lock_guard hold(all.lock);
    thread_slots::forget(index);  // before the place can be taken again
    all.indices &= ~(std::uint64_t{1} << index);
}

no_visits::no_visits(registrant& r) noexcept : of_(r) { state().pass_over(of_); }

no_visits::~no_visits() { state().visit_again(of_); }

void before_fork() noexcept { state().before_fork(nullptr); }
void before_fork(void (*drain)() noexcept) noexcept { state().before_fork(drain); }
void after_fork_in_parent() noexcept { state().after_fork(state().forks.end(false)); }
void after_fork_in_child() noexcept { state().after_fork(state().forks.end(true)); }
void lock_making() noexcept TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS { state().making.lock(); }  // across functions
void unlock_making() noexcept TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS { state().making.unlock(); }

void check() noexcept { state().check(); }

namespace {

// After each tick.
void check_where_checked() noexcept {
    if constexpr (checked) {
        check();
        thread_slots::check();
    }
}

}  // namespace

void tick_all() noexcept {
    state().for_each([](registrant& r) noexcept {
        r.tick_now();
        return true;
    });
    check_where_checked();
}

bool tick_due(std::chrono::nanoseconds now, which those) noexcept {
    registry_state& all = state();
    registry_state::looks& of = those == which::all ? all.at_all : all.at_heartbeat_safe;
    if (now.count() < of.earliest.load(std::memory_order_relaxed)) return false;
    if (!all.ticking.try_lock()) return false;
    all.ticked_by.store(::pthread_self(), std::memory_order_relaxed);
    // Whoever joins from here on lowers it again.
    of.earliest.store(registry_state::time::max().count(), std::memory_order_relaxed);
    bool worked = false;
    const bool left = all.take_turn(of, those == which::heartbeat_safe, now, worked);
    of.unfinished.store(left, std::memory_order_relaxed);
    all.ticked_by.store({}, std::memory_order_relaxed);
    all.ticking.unlock();
    check_where_checked();
    return worked;
}

bool tick_unfinished() noexcept { return state().at_all.unfinished.load(std::memory_order_relaxed); }

void reclaim(const void* allocator, reclaim_depth how) noexcept {
    state().for_each([&](registrant& r) noexcept {
        r.reclaim(allocator, how);
        return true;
    });
}

}  // namespace registry

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

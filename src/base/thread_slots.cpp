#include "base/thread_slots.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "base/arena.hpp"
#include "base/fatal.hpp"
#include "base/immortal.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/signals_blocked.hpp"
#include "base/sleeping_lock.hpp"
#include "base/stable_table.hpp"
#include "base/thread_safety.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

constinit std::array<hot_bin, hot_bin_count> closed_bins{};
constinit local_head no_local;

namespace {

// Stand-ins that no thread owns. All their pin slots lead to themselves, closed; a fast path that passes through stores
// the value that is there already.
constinit thread_slot not_yet;
constinit thread_slot joining;
constinit thread_slot exited;

}  // namespace

constinit thread_local thread_slot* this_thread = &not_yet;

namespace thread_slots {

namespace {

// Threads outlive static destructors.
struct table {
    sleeping_lock lock{lock_rank::thread_slots};
    std::array<std::uint64_t, slots_max / 64> taken TIDEPOOL_GUARDED_BY(lock){};  // a bit a slot
    std::uint32_t adopted TIDEPOOL_GUARDED_BY(lock) = 0;                          // bits set in `taken`
    std::atomic<std::uint32_t> count{0};     // slots that exist; relaxed: written under the lock, only rises
    stable_table<thread_slot> slots;         // written under the lock
    arena records{lock_rank::slot_records};  // used under the lock
    void (*leave)(thread_slot&) = nullptr;   // written once, under the lock, before the first slot is adopted
    pthread_key_t key{};                     // fixed once there is one
    bool has_key TIDEPOOL_GUARDED_BY(lock) = false;
};

constinit immortal<table> the_table;

table& slots() noexcept { return the_table.it; }

thread_slot* adopt(table& t) noexcept {
    const lock_guard hold(t.lock);
    for (std::uint32_t word = 0; word < t.taken.size(); ++word) {
        if (t.taken[word] == ~std::uint64_t{0}) continue;
        const auto bit = static_cast<std::uint32_t>(std::countr_one(t.taken[word]));
        const std::uint32_t number = word * 64 + bit;
        thread_slot* slot = t.slots.get(number);
        if (!slot) {
            slot = t.records.make<thread_slot>(0, number, true);
            if (!slot || !t.slots.set(number, slot, t.records)) return nullptr;
            for (pin_slot& each : slot->pin_slots) each.set(no_local);
            t.count.store(number + 1, std::memory_order_relaxed);
        }
        t.taken[word] |= std::uint64_t{1} << bit;
        ++t.adopted;
        return slot;
    }
    return nullptr;
}

void abandon(table& t, const thread_slot& slot) noexcept {
    const lock_guard hold(t.lock);
    t.taken[slot.index / 64] &= ~(std::uint64_t{1} << slot.index % 64);
    --t.adopted;
}

// The thread-key destructor: runs after the destructors of C++ thread_local objects, which may still use their pools.
// Whoever frees later than this finds `exited` and goes past the cache: no local is built anew and left behind.
// Signals are blocked, because a handler that uses a pool would wait for the locks that are taken here.
void release_slot(void* value) noexcept {
    auto& slot = *static_cast<thread_slot*>(value);
    table& t = slots();
    this_thread = &exited;
    const signals_blocked undisturbed;
    if (t.leave) t.leave(slot);
    abandon(t, slot);
}

// Without a key nobody would tell us of a thread's exit, and its slot would be lost: then there are no slots.
bool make_key(table& t) noexcept {
    const lock_guard hold(t.lock);
    if (!t.has_key) t.has_key = ::pthread_key_create(&t.key, [](void* slot) { release_slot(slot); }) == 0;
    return t.has_key;
}

}  // namespace

thread_slot* mine() noexcept {
    if (this_thread->usable) [[likely]]
        return this_thread;
    if (this_thread != &not_yet) return nullptr;
    this_thread = &joining;  // a signal handler that comes now finds this and keeps out of our locks
    table& t = slots();
    thread_slot* slot = make_key(t) ? adopt(t) : nullptr;
    if (slot && ::pthread_setspecific(t.key, slot) != 0) {
        abandon(t, *slot);
        slot = nullptr;
    }
    this_thread = slot ? slot : &not_yet;
    return slot;
}

void stand_in() noexcept { this_thread = &not_yet; }

void on_exit(void (*leave)(thread_slot&)) noexcept {
    table& t = slots();
    const lock_guard hold(t.lock);
    if (t.leave != leave) t.leave = leave;  // once: exiting threads read it without the lock
}

void forget(std::uint32_t pool_index) noexcept {
    table& t = slots();
    const lock_guard hold(t.lock);
    for (std::uint32_t i = 0; i < count(); ++i) close(i, pool_index);
}

void close(std::uint32_t number, std::uint32_t pool_index) noexcept {
    if (thread_slot* slot = slots().slots.get(number)) slot->pin_slots[pool_index].set(no_local);
}

void check() noexcept {
    table& t = slots();
    const lock_guard hold(t.lock);
    const std::uint32_t exist = count();
    for (std::uint32_t i = 0; i < exist; ++i) {
        const thread_slot* slot = t.slots.get(i);
        if (!slot || slot->index != i || !slot->usable) fatal("thread slot %u is not in its place", i);
    }
    for (std::uint32_t word = 0; word < t.taken.size(); ++word) {
        const std::uint32_t there = std::clamp(exist, word * 64, word * 64 + 64) - word * 64;
        if (there < 64 && t.taken[word] >> there != 0)
            fatal("a thread slot from %u on is taken and does not exist", exist);
    }
    if (this_thread->usable && !(t.taken[this_thread->index / 64] >> this_thread->index % 64 & 1))
        fatal("thread slot %u is in use and counts as free", this_thread->index);
}

bool alone() noexcept {
    table& t = slots();
    const lock_guard hold(t.lock);
    return t.adopted == (this_thread->usable ? 1 : 0);
}

void before_fork() noexcept {
    table& t = slots();
    t.lock.lock_for_fork();
    t.records.before_fork();
}

void after_fork_in_parent() noexcept {
    table& t = slots();
    t.records.after_fork();
    t.lock.unlock_after_fork();
}

void after_fork_in_child() noexcept {
    table& t = slots();
    t.lock.assert_held();  // by before_fork()
    t.taken.fill(0);
    t.adopted = this_thread->usable;
    if (this_thread->usable) t.taken[this_thread->index / 64] = std::uint64_t{1} << this_thread->index % 64;
    after_fork_in_parent();
}

std::uint32_t count() noexcept { return slots().count.load(std::memory_order_relaxed); }
thread_slot* get(std::uint32_t number) noexcept { return slots().slots.get(number); }

}  // namespace thread_slots

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

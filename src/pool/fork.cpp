// Around a fork. The child has one thread and a copy of all memory as it was. For that copy to be whole, the forking
// thread first keeps every owner out of its local, as a visitor does, and then takes every lock. What the child loses
// are the blocks that other threads had in hand between a local and the source: a magazine a thread at most, as if they
// had allocated it.
#include "pool/pool.hpp"

#include "base/asymmetric_fence.hpp"
#include "base/thread_slots.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr unsigned fork_wait_rounds = 4096;  // how long a fork waits for all owners: 0.2 s

}  // namespace

void pool::before_fork() noexcept {
    growing_.lock_for_fork();
    visiting_.lock_for_fork();
    stop_all();
    lock_mechanisms();
}

void pool::after_fork_in_parent() noexcept {
    unlock_mechanisms();
    for_parts([](local& part) { part.front->reopen(); });
    visiting_.unlock_after_fork();
    growing_.unlock_after_fork();
}

// An owner that was still inside is gone with its local half changed: its part is left alone for good, closed.
void pool::after_fork_in_child() noexcept {
    recount_outgoing();
    unlock_mechanisms();
    const local* mine = this_thread->usable ? by_slot_.get(this_thread->index) : nullptr;
    for (std::uint32_t slot = 0; slot < thread_slots::count(); ++slot) {
        local* part = by_slot_.get(slot);
        if (!part) continue;
        if (part != mine && (!fence_available_ || part->occupied())) {
            by_slot_.set(slot, nullptr, records_);
            thread_slots::close(slot, index_);
            continue;
        }
        if (part != mine) empty_private_to_chain(*part);
        part->front->reopen();
    }
    visiting_.unlock_after_fork();
    growing_.unlock_after_fork();
}

// What another thread was just handing down is on the books and in no list: nobody here will take it off them.
void pool::recount_outgoing() noexcept {
    if (!depots_.load(std::memory_order_relaxed)) return;  // relaxed: written under growing_
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) depot_of(c).outgoing.store(0, std::memory_order_relaxed);
    std::uint64_t all = 0;
    outgoing_.for_each([&](const magazine& m) {
        depot_of(m.size_class()).outgoing.fetch_add(m.count(), std::memory_order_relaxed);
        all += m.count();
    });
    outgoing_blocks_.store(all, std::memory_order_relaxed);
}

// Stops all locals and waits until their owners are outside; not for ever, since one may have been stopped by a
// debugger. An owner inside takes locks of single mechanisms, so this comes before lock_mechanisms().
void pool::stop_all() noexcept {
    if (!fence_available_) return;
    for_parts([](local& part) { part.front->stop(); });
    asymmetric_fence::heavy();
    unsigned round = 0;
    for_parts([&](local& part) {
        if (this_thread->usable && by_slot_.get(this_thread->index) == &part) return;
        for (; part.occupied() && round < fork_wait_rounds; ++round) wait_long(round);
    });
}

void pool::lock_mechanisms() noexcept {
    outgoing_.before_fork();
    if (depots_.load(std::memory_order_relaxed))  // relaxed: written under growing_
        for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) depot_of(c).stock.before_fork();
    large_.before_fork();
    ledger_.before_fork();
    source_.before_fork();
    magazines_.before_fork();
    records_.before_fork();  // last: the others allocate under their locks
}

void pool::unlock_mechanisms() noexcept {
    records_.after_fork();
    magazines_.after_fork();
    source_.after_fork();
    ledger_.after_fork();
    large_.after_fork();
    if (depots_.load(std::memory_order_relaxed))
        for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) depot_of(c).stock.after_fork();
    outgoing_.after_fork();
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Around a fork. The child has one thread and a copy of all memory as it was. For that copy to be whole, the forking
// thread first keeps every owner out of its local, as a visitor does, and then takes every lock. What the child loses
// are the blocks that other threads had in hand between a local and the source: a magazine a thread at most, as if they
// had allocated it.
#include "pool/pool.hpp"

#include "base/thread_id.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// An owner inside takes locks of single mechanisms, so all are outside before those are taken. The records come last:
// the others allocate under their locks.
void pool::before_fork() noexcept {
    roster_.growing.lock_for_fork();
    roster_.visiting.lock_for_fork();
    roster_.stop_all();
    shared_.before_fork();
    large_.before_fork();
    supply_.watched.before_fork();
    supply_.blocks.before_fork();
    shared_.slabs.before_fork();
    shared_.records.before_fork();
}

void pool::after_fork_in_parent() noexcept {
    unlock_mechanisms();
    roster_.reopen_all();
    roster_.visiting.unlock_after_fork();
    roster_.growing.unlock_after_fork();
}

void pool::after_fork_in_child() noexcept {
    if constexpr (hardened) renew_thread_id();
    shared_.leaving.recount();
    upkeep_.forget_others();
    unlock_mechanisms();
    roster_.inherit();
    roster_.visiting.unlock_after_fork();
    roster_.growing.unlock_after_fork();
}

void pool::unlock_mechanisms() noexcept {
    shared_.records.after_fork();
    shared_.slabs.after_fork();
    supply_.blocks.after_fork();
    supply_.watched.after_fork();
    large_.after_fork();
    shared_.after_fork();
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

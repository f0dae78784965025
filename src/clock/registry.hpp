// All pools of the process: what a process-wide tick visits, and who hears of a thread's exit. Any thread.
//
// Invariants:
//  1. A registrant is in the list from join() to leave(), and leave() returns only when no visit of it is under way.
//  2. No lock that anyone waits for is held while a registrant ticks, so a tick may call upstreams, and those may make
//     and end pools.
//  3. Registrants are visited in the order in which they joined, by ever rising ids: none is visited twice or passed
//  over
//     because another one leaves or joins meanwhile.
#pragma once

#include <chrono>
#include <cstdint>

#include "clock/registrant.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace registry {

// The place in thread_slot::pin_slots that is kept for `r`: `wanted` where it is given and free, else any free one,
// else no_index.
std::uint32_t join(registrant& r, std::uint32_t wanted = no_index) noexcept;
// Waits for visits under way. `index` as join() gave it.
void leave(registrant& r, std::uint32_t index) noexcept;

// While it lives, `r` is not visited: neither ticked nor asked to reclaim. Waits for visits under way, so not to be
// made by one.
class no_visits {
public:
    explicit no_visits(registrant& r) noexcept;
    ~no_visits();
    no_visits(const no_visits&) = delete;
    no_visits& operator=(const no_visits&) = delete;

private:
    registrant& of_;
};

// Around every fork, by the forking thread: the child's pools are whole, and what other threads had cached is to be had
// there. A fork that is not announced leaves the child with locks that nobody will open.
// One that a handler makes inside another one, on the same thread, is only counted.
void before_fork() noexcept;
// Calls drain() before it takes the pools' locks, while no other thread can begin a fork.
void before_fork(void (*drain)() noexcept) noexcept;
void after_fork_in_parent() noexcept;
void after_fork_in_child() noexcept;

// Around the making of a pool that the process has one of: a fork waits for it, so no child finds that pool half made.
void lock_making() noexcept;
void unlock_making() noexcept;

// Ends the program where the list is not linked in both directions by rising ids (invariant 3). Takes the lock.
void check() noexcept;

void tick_all() noexcept;

enum class which { all, heartbeat_safe };

// Ticks a registrant whose tick is due, of all or of those that are heartbeat_safe(): of several who are, the next in
// turn, and the next call another, lest the one thread that comes by be held up by all of them. All at once where a
// round of that takes half a second. One relaxed load and a comparison when none is due. Returns at once where another
// call is at it, be it one further up this thread's stack: so a tick's own upstream calls do not recurse. True where
// there was something to do: call again, and some time there is not.
bool tick_due(std::chrono::nanoseconds now, which those = which::all) noexcept;

// Whether the last call has left one who was due to the next: worth a call sooner than as a rule. One relaxed load.
bool tick_unfinished() noexcept;

// Asks every registrant to reclaim.
void reclaim(const void* allocator, reclaim_depth how) noexcept;

}  // namespace registry

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Thread slots: small dense numbers for the threads that use a pool, recycled when they exit.
//
// Invariants:
//  1. A slot has at most one thread. It is adopted and released under one lock, so what the last thread did with it
//     happens-before what the next one does.
//  2. The lowest free number is adopted first: numbers stay below the most threads that ever lived at once.
//  3. Slots are never freed and never move. A slot keeps its locals, and with them their stock, when it is adopted
//  again.
#pragma once

#include <cstdint>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
// What a pin slot leads to while its thread has no local of the pool; closed for good. Not the thread's own closed
// local, which is there while the thread is inside: so it can be told whether somebody further up the stack is.
extern constinit local_head no_local;

namespace thread_slots {

inline constexpr std::uint32_t slots_max = 1U << 16;  // threads at once; those beyond go past the cache

// The calling thread's slot, adopted on first use. Null when the thread has already released its slot on exit, when
// there is no free one, or inside a signal handler that interrupted an adoption.
thread_slot* mine() noexcept;

// For the only thread of a process whose thread-local variables have no values yet: gives `this_thread` its first one.
void stand_in() noexcept;

// Called once per exiting thread, by that thread, with signals blocked, before its slot can be adopted again. There is
// one such function; it is set before the first slot is adopted.
void on_exit(void (*leave)(thread_slot&)) noexcept;

// Makes every slot forget its local of the pool with this index. Nobody may be using that pool.
void forget(std::uint32_t pool_index) noexcept;

// Makes the slot of this number forget it. In a forked child, where nobody owns the slot.
void close(std::uint32_t number, std::uint32_t pool_index) noexcept;

// Whether no other thread has a slot. One that adopts a slot afterwards sees all that the caller did before. Takes the
// lock.
bool alone() noexcept;

// Around a fork, by the forking thread. In the child every slot but the caller's is free again.
void before_fork() noexcept;
void after_fork_in_parent() noexcept;
void after_fork_in_child() noexcept;

// Ends the program where a slot that exists is not in its place, where one is taken that does not exist, or the
// caller's counts as free. Takes the lock. Linear in the slots.
void check() noexcept;

// Slots that exist: the most threads that lived at once.
std::uint32_t count() noexcept;

// The slot of this number, which is below count(). Null where it is just being made.
thread_slot* get(std::uint32_t number) noexcept;

}  // namespace thread_slots
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

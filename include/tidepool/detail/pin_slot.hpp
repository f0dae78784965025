// The pin: how a thread keeps others out of its local without a fence, and how others see that it is inside.
//
// A local belongs to the one thread in whose table its pin slot stands, its owner. Only the owner goes through the
// slot. Another thread, a visitor, may look inside after it has stopped the local, made the heavy half of the fence and
// found the slot unoccupied (src/base/asymmetric_fence.hpp).
//
// Invariants:
//  1. A pin slot leads to the owner's local while the owner is outside, and to the thread's own closed local while it
//  is
//     inside, or where it has no local yet. A closed local has no magazine.
//  2. While the owner is inside and has seen its real magazines, no other thread touches them.
//  3. A local has a hot_bin for each size class, which before its first use has no magazine.
//
// So one comparison serves for all that can be in the way: an empty magazine, a class or a local that does not exist
// yet, a visitor, and a signal handler that interrupts the owner inside.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/magazine.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class local;

namespace asymmetric_fence {

// The half that costs nothing: keeps the compiler from moving a load above the store before it. The processor is kept
// from it by whoever makes the other half.
inline void light() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace asymmetric_fence

// The head of a local, which is all that a private hit needs. The hot bins, one for each size class, stand right behind
// it.
struct alignas(apart) local_head {
    std::atomic<hot_bin*> shown;  // own(), or closed_bins while a visitor is here; written by visitors
    local* body = nullptr;        // the rest, for the slow path (src/cache/local.hpp); fixed

    // Closed for good.
    constexpr local_head() noexcept : shown(closed_bins.data()) {}

    hot_bin* own() noexcept { return reinterpret_cast<hot_bin*>(this + 1); }

    // Owner, inside. Acquire: partner of reopen().
    hot_bin* bins() const noexcept { return shown.load(std::memory_order_acquire); }
    hot_bin& bin_at(std::size_t bin_offset) const noexcept {
        return *reinterpret_cast<hot_bin*>(reinterpret_cast<std::byte*>(bins()) + bin_offset);
    }

    // Visitor: asks the owner to stay out. Takes effect at the visitor's next heavy fence. Relaxed: that fence orders
    // it before the visitor's look at the pin slot.
    void stop() noexcept { shown.store(closed_bins.data(), std::memory_order_relaxed); }
    // Visitor: lets the owner in again. Release: what the visitor did happens-before the owner's next entry.
    void reopen() noexcept { shown.store(own(), std::memory_order_release); }
    // Relaxed: for tests, which know that no visitor comes.
    bool stopped() noexcept { return shown.load(std::memory_order_relaxed) != own(); }
};

// Where a thread finds its local of one pool, and where others see whether it is inside.
class pin_slot {
public:
    constexpr pin_slot() noexcept : to_(nullptr) {}
    constexpr explicit pin_slot(local_head& to) noexcept : to_(&to) {}

    // Owner: pins. Takes its local out of the slot and leaves `closed` there, for a signal handler to find. What comes
    // back is `closed` itself where there is no local, or in such a handler. O(1), no locked instruction.
    local_head& enter(local_head& closed) noexcept {
        local_head& mine = *to_.load(std::memory_order_relaxed);  // relaxed: only this thread writes it
        to_.store(&closed, std::memory_order_relaxed);            // relaxed: the fence orders it before what follows
        asymmetric_fence::light();                                // partner: heavy(), by the visitor
        return mine;
    }
    // Owner: unpins. Release: what was done inside happens-before the visitor that then finds the slot unoccupied.
    void leave(local_head& mine) noexcept { to_.store(&mine, std::memory_order_release); }

    // Visitor, after the heavy fence: whether the owner is inside. Acquire: partner of leave().
    bool occupied(const local_head& its) const noexcept { return to_.load(std::memory_order_acquire) != &its; }

    // A new local, or none any more. The owner, or who knows that the owner is not in this pool.
    void set(local_head& to) noexcept { to_.store(&to, std::memory_order_release); }
    local_head& get() const noexcept { return *to_.load(std::memory_order_relaxed); }

private:
    std::atomic<local_head*> to_;
};

// Pools with an index below this have a pin slot in every thread's table; later ones are looked up on the slow path.
inline constexpr std::uint32_t direct_pools = 64;
// The index of pools that have no pin slot in the tables. The slot in its place always leads to the closed local.
inline constexpr std::uint32_t no_index = 0;
// The default pool's index; no other pool is given it.
inline constexpr std::uint32_t default_index = 1;

// A thread's place in the process-wide table, and its own closed local. Never freed, never moved; recycled when the
// thread exits. The pin slots are the thread's to write, and a pool's destructor's for its own one.
struct thread_slot : local_head {
    std::array<pin_slot, direct_pools> pin_slots;
    std::uint32_t index = 0;  // dense within the process; fixed
    bool usable = false;      // false for stand-ins that no thread owns; fixed
    // The thread's own (src/clock/heartbeat.hpp).
    bool heard = false;                // a heartbeat came during an upstream call
    std::uint32_t upstream_calls = 0;  // calls to an upstream that the thread is in
    // The malloc shim's (adapters/preload/base/slow_section.hpp): whether the thread is in a slow section.
    std::atomic<bool> in_slow_section = false;

    constexpr thread_slot() noexcept : thread_slot(0, false) {}
    constexpr thread_slot(std::uint32_t number, bool is_usable) noexcept : index(number), usable(is_usable) {
        for (pin_slot& each : pin_slots) std::construct_at(&each, *this);
    }
};

// The calling thread's slot, or a stand-in without locals before its first use and after its exit.
extern constinit thread_local thread_slot* this_thread __attribute__((tls_model("initial-exec")));

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

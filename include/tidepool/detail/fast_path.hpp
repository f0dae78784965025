// The private hit, inlined into the faces: what a thread does when its own magazine has what it wants.
//
// Who calls it: the faces only. Everything that is not a private hit ends in one of the two slow functions at the foot,
// which live in src/pool.cpp.
//
// Which thread may do what: a local belongs to the one thread in whose table its door stands, its owner. Only the owner
// goes through the door. Another thread, the visitor, may look inside after it has stopped the local, made one
// membarrier and found the door unoccupied (src/base/handshake.hpp).
//
// Invariants:
//  1. A door leads to the owner's local while the owner is outside, and to the thread's own closed local while it is
//     inside, or where it has no local yet. A closed local has only no_magazine.
//  2. While the owner is inside and has seen its real magazines, no other thread touches them.
//  3. A magazine holds 0 <= count <= capacity blocks, in blocks()[0 .. count).
//  4. A local's entry for a size class is never null: before its first use it is no_magazine, which has room for
//  nothing,
//     holds nothing, and so is refused by both fast paths and written by nobody.
//
// So one comparison serves for all that can be in the way: an empty magazine, a class or a local that does not exist
// yet, a visitor, and a signal handler that interrupts the owner inside.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class pool;
struct local;

// An array of block pointers that moves from hand to hand as a whole. It never writes into a block. Whoever holds the
// magazine reads and writes it; nobody else does.
class magazine {
public:
    static constexpr std::size_t capacity_max = 256;

    constexpr magazine() noexcept = default;  // of capacity 0
    constexpr magazine(std::uint32_t its_class, std::uint32_t its_capacity) noexcept
        : capacity_(its_capacity), size_class_(its_class) {}

    std::size_t count() const noexcept { return count_; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::uint32_t size_class() const noexcept { return size_class_; }
    bool empty() const noexcept { return count() == 0; }
    bool full() const noexcept { return count() == capacity_; }
    void** blocks() noexcept { return reinterpret_cast<void**>(this + 1); }

    // The last block, counted as a hit. Needs: not empty.
    void* hit() noexcept {
        ++hits_;
        return pop();
    }

    // Needs: not full.
    void push(void* block) noexcept { blocks()[count_++] = block; }

    // The last block, not counted. Needs: not empty.
    void* pop() noexcept { return blocks()[--count_]; }

    // After blocks() was filled or handed on.
    void set_count(std::size_t count) noexcept { count_ = count; }

    // Hits since the last call.
    std::uint64_t take_hits() noexcept { return std::exchange(hits_, 0); }
    std::uint64_t hits() const noexcept { return hits_; }

    magazine* next = nullptr;  // link of the list it lies in, while it lies in one

private:
    std::size_t count_ = 0;
    std::size_t capacity_ = 0;      // fixed
    std::uint64_t hits_ = 0;        // apart from the count: on its own, the count is a shorter way from hit to hit
    std::uint32_t size_class_ = 0;  // fixed
};

inline constinit magazine no_magazine;

// What a closed local shows: no_magazine for every class.
extern constinit std::array<magazine*, size_class_count> closed_magazines;

// One pool's part for one thread slot: the head of it, which is all that a private hit needs. The loaded magazines, one
// for each size class, stand right behind it.
struct alignas(apart) local_head {
    std::atomic<magazine**> shown;  // own(), or closed_magazines while a visitor is here; written by visitors
    local* state = nullptr;         // the rest, for the slow path (src/local.hpp); fixed

    // Closed for good.
    constexpr local_head() noexcept : shown(closed_magazines.data()) {}

    magazine** own() noexcept { return reinterpret_cast<magazine**>(this + 1); }

    // Owner, inside. Acquire: partner of reopen().
    magazine** magazines() const noexcept { return shown.load(std::memory_order_acquire); }

    // Visitor: asks the owner to stay out. Takes effect at the visitor's next membarrier. Relaxed: the membarrier
    // orders it before the visitor's look at the door.
    void stop() noexcept { shown.store(closed_magazines.data(), std::memory_order_relaxed); }
    // Visitor: lets the owner in again. Release: what the visitor did happens-before the owner's next entry.
    void reopen() noexcept { shown.store(own(), std::memory_order_release); }
    // Relaxed: a hint for an owner that waits, or the owner's own last look.
    bool stopped() noexcept { return shown.load(std::memory_order_relaxed) != own(); }
};

// Where a thread finds its local of one pool, and where others see whether it is inside.
class pin_slot {
public:
    constexpr pin_slot() noexcept : to_(nullptr) {}
    constexpr explicit pin_slot(local_head& to) noexcept : to_(&to) {}

    // Owner: pins. Takes its local out of the door and leaves `closed` there, for a signal handler to find. What comes
    // back is `closed` itself where there is no local, or in such a handler. O(1), no locked instruction.
    local_head& enter(local_head& closed) noexcept {
        local_head& mine = *to_.load(std::memory_order_relaxed);  // relaxed: only this thread writes it
        to_.store(&closed, std::memory_order_relaxed);        // relaxed: the visitor's membarrier orders it before what
        std::atomic_signal_fence(std::memory_order_seq_cst);  // follows; for the compiler the fence does
        return mine;
    }
    // Owner: unpins. Release: what was done inside happens-before the visitor that then finds the door unoccupied.
    void leave(local_head& mine) noexcept { to_.store(&mine, std::memory_order_release); }

    // Visitor, after the membarrier: whether the owner is inside. Acquire: partner of leave().
    bool occupied(const local_head& its) const noexcept { return to_.load(std::memory_order_acquire) != &its; }

    // A new local, or none any more. The owner, or who knows that the owner is not in this pool.
    void set(local_head& to) noexcept { to_.store(&to, std::memory_order_release); }
    local_head& get() const noexcept { return *to_.load(std::memory_order_relaxed); }

private:
    std::atomic<local_head*> to_;
};

// Pools with an index below this have a door in every thread's table; later ones are looked up on the slow path.
inline constexpr std::uint32_t direct_pools = 64;
// The index of pools that came too late for a door. Its door always leads to the closed local.
inline constexpr std::uint32_t no_index = 0;
// The default pool's index; no other pool is given it.
inline constexpr std::uint32_t default_index = 1;

// A thread's place in the process-wide table, and its own closed local. Never freed, never moved; recycled when the
// thread exits. The doors are the thread's to write, and a pool's destructor's for its own one.
struct thread_slot : local_head {
    std::array<pin_slot, direct_pools> pin_slots;
    std::uint32_t index = 0;  // dense within the process; fixed
    bool usable = false;      // false for stand-ins that no thread owns; fixed
    // The thread's own (src/heartbeat.hpp).
    bool heard = false;                // a heartbeat came during an upstream call
    std::uint32_t upstream_calls = 0;  // calls to an upstream that the thread is in

    constexpr thread_slot() noexcept : thread_slot(0, false) {}
    constexpr thread_slot(std::uint32_t number, bool is_usable) noexcept : index(number), usable(is_usable) {
        for (pin_slot& each : pin_slots) std::construct_at(&each, *this);
    }
};

// The calling thread's slot, or a stand-in without locals before its first use and after its exit.
extern constinit thread_local thread_slot* this_thread __attribute__((tls_model("initial-exec")));

// Builds that check, drop or poison blocks do so in the slow functions and see every block there.
inline constexpr bool always_slow = hardened || chaotic || poisoning;

// A private hit, or what miss() returns. Needs: `index` and `size_class` are valid for the pool. Any thread, for
// itself.
template <class Miss>
inline void* take_or(std::uint32_t index, std::size_t size_class, Miss miss) {
    if constexpr (always_slow) return miss();
    thread_slot& me = *this_thread;
    local_head& mine = me.pin_slots[index].enter(me);
    magazine& m = *mine.magazines()[size_class];
    if (m.empty()) [[unlikely]] {
        me.pin_slots[index].leave(mine);
        return miss();
    }
    void* block = m.hit();
    me.pin_slots[index].leave(mine);
    return block;
}

// Puts a block into the private magazine; where that has no room, miss() takes it. As take_or().
template <class Miss>
inline void give_or(std::uint32_t index, std::size_t size_class, void* block, Miss miss) noexcept {
    if constexpr (always_slow) return miss();
    thread_slot& me = *this_thread;
    local_head& mine = me.pin_slots[index].enter(me);
    magazine& m = *mine.magazines()[size_class];
    if (m.full()) [[unlikely]] {
        me.pin_slots[index].leave(mine);
        return miss();
    }
    m.push(block);
    me.pin_slots[index].leave(mine);
}

// The rest of the way: own magazines, chain, steal, victim, then the source. Null when the source is exhausted.
void* allocate_slow(pool& from, std::uint32_t size_class) noexcept;
// The rest of the way back. Never fails, never asks the upstream for memory.
void deallocate_slow(pool& to, std::uint32_t size_class, void* block) noexcept;

inline void* allocate(pool& from, std::uint32_t index, std::uint32_t size_class) noexcept {
    return take_or(index, size_class, [&] { return allocate_slow(from, size_class); });
}

inline void deallocate(pool& to, std::uint32_t index, std::uint32_t size_class, void* block) noexcept {
    give_or(index, size_class, block, [&] { deallocate_slow(to, size_class, block); });
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

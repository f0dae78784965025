// The private hit, inlined into the faces: what a thread does when its own magazine has what it wants.
//
// Who calls it: the faces only. Everything that is not a private hit ends in one of the two slow functions at the
// foot, which live in src/pool.cpp.
//
// Which thread may do what: a local belongs to the one thread whose slot it hangs from, its owner. Only the owner calls
// take() and give(). Another thread, the visitor, may look inside after it has set `stop`, made one membarrier and
// found `inside` clear (src/base/handshake.hpp).
//
// Invariants:
//  1. Between a successful enter() and its leave() no other thread touches `loaded` or a loaded magazine.
//  2. A magazine holds 0 <= count <= capacity blocks, in blocks()[0 .. count).
//  3. loaded()[c] is never null: a class that was not used yet has the shared empty magazine of capacity 0, which
//     both fast paths refuse.
//  4. thread_slot::locals[i] is never null: where a thread has no local yet it is `closed_local`, which refuses entry.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool::inline TIDEPOOL_ABI::detail {

class pool;
struct local_state;

// An array of block pointers that moves from hand to hand as a whole. It never writes into a block.
struct magazine {
    std::uint32_t count = 0;       // blocks held; whoever holds the magazine reads and writes it
    std::uint32_t capacity = 0;    // fixed when the magazine is made
    std::uint32_t size_class = 0;  // fixed when the magazine is made
    std::uint64_t hits = 0;        // blocks taken while loaded and not yet added to the stats; the holder's
    magazine* next = nullptr;      // link of the list it lies in, while it lies in one

    void** blocks() noexcept { return reinterpret_cast<void**>(this + 1); }
    bool empty() const noexcept { return count == 0; }
    bool full() const noexcept { return count == capacity; }
};

// The door of a local. One byte the owner writes, one byte visitors write.
class gate {
public:
    constexpr explicit gate(bool closed = false) noexcept : inside_(closed), stop_(closed) {}

    // Owner: pins the local. False where a visitor has stopped it, or where `inside` is set already, which means that
    // a signal handler interrupted the owner between enter() and leave(). O(1), no locked instruction.
    bool enter() noexcept {
        if (inside_.load(std::memory_order_relaxed)) [[unlikely]]  // relaxed: only this thread writes it
            return false;
        inside_.store(true, std::memory_order_relaxed);  // relaxed: the visitor's membarrier orders it before the load
        std::atomic_signal_fence(std::memory_order_seq_cst);  // the compiler's half; the membarrier is the processor's
        if (stop_.load(std::memory_order_acquire)) [[unlikely]] {  // acquire: partner of reopen()
            leave();
            return false;
        }
        return true;
    }

    // Owner: unpins. Release: what was done inside happens-before the visitor that then reads `inside` as clear.
    void leave() noexcept { inside_.store(false, std::memory_order_release); }

    // Visitor: asks the owner to stay out. Takes effect at the visitor's next membarrier.
    // Relaxed: the membarrier orders it before the load of `inside`.
    void stop() noexcept { stop_.store(true, std::memory_order_relaxed); }

    // Visitor, after the membarrier: whether the owner is inside. Acquire: partner of leave().
    bool occupied() const noexcept { return inside_.load(std::memory_order_acquire); }

    // Visitor: lets the owner in again. Release: what the visitor did happens-before the owner's next entry.
    void reopen() noexcept { stop_.store(false, std::memory_order_release); }

    // Whether a visitor is at the door now. Relaxed: a hint for a thread that waits.
    bool stopped() const noexcept { return stop_.load(std::memory_order_relaxed); }

private:
    std::atomic<bool> inside_;  // written by the owner, read by visitors
    std::atomic<bool> stop_;    // written by visitors, read by the owner
};

// One pool's part for one thread slot: the head of it, which is all that a private hit needs.
struct alignas(apart) local {
    detail::gate gate;
    local_state* state = nullptr;  // the rest, for the slow path (src/local.hpp); fixed

    constexpr explicit local(bool closed = false) noexcept : gate(closed) {}

    // The loaded magazine of each size class; the array stands right behind the local.
    magazine** loaded() noexcept { return reinterpret_cast<magazine**>(this + 1); }
};

// Pools with an index below this are found from a thread by one indexed load; later ones by the pool's own table.
inline constexpr std::uint32_t direct_pools = 64;
// The index of pools that came too late for a direct place. Its entry always holds the closed local.
inline constexpr std::uint32_t no_index = 0;

// A thread's place in the process-wide table. Never freed, never moved; recycled when the thread exits.
struct alignas(apart) thread_slot {
    local* locals[direct_pools];  // written by the owner, and by a pool's destructor for its own entry
    std::uint32_t index = 0;      // dense within the process; fixed
    bool usable = false;          // false for the two stand-ins below; fixed

    constexpr thread_slot() noexcept;
    constexpr thread_slot(std::uint32_t number, bool is_usable) noexcept;
};

extern constinit local closed_local;

constexpr thread_slot::thread_slot() noexcept : thread_slot(0, false) {}
constexpr thread_slot::thread_slot(std::uint32_t number, bool is_usable) noexcept
    : locals(), index(number), usable(is_usable) {
    for (local*& entry : locals) entry = &closed_local;
}

// The calling thread's slot, or a stand-in without locals before its first use and after its exit.
extern constinit thread_local thread_slot* this_thread __attribute__((tls_model("initial-exec")));

// A private hit, or null. Needs: `index` and `size_class` are valid for the pool. Any thread, for itself.
inline void* take(std::uint32_t index, std::uint32_t size_class) noexcept {
    local& mine = *this_thread->locals[index];
    if (!mine.gate.enter()) [[unlikely]]
        return nullptr;
    magazine& m = *mine.loaded()[size_class];
    std::uint32_t left;
    if (__builtin_sub_overflow(m.count, 1U, &left)) [[unlikely]] {
        mine.gate.leave();
        return nullptr;
    }
    m.count = left;
    ++m.hits;
    void* block = m.blocks()[left];
    mine.gate.leave();
    return block;
}

// Puts a block into the private magazine; false where it has no room. As take().
inline bool give(std::uint32_t index, std::uint32_t size_class, void* block) noexcept {
    local& mine = *this_thread->locals[index];
    if (!mine.gate.enter()) [[unlikely]]
        return false;
    magazine& m = *mine.loaded()[size_class];
    const std::uint32_t count = m.count;
    const bool room = count < m.capacity;
    if (room) [[likely]] {
        m.blocks()[count] = block;
        m.count = count + 1;
    }
    mine.gate.leave();
    return room;
}

// The rest of the way: own magazines, chain, steal, victim, then the source. Null when the source is exhausted.
void* allocate_slow(pool& from, std::uint32_t size_class) noexcept;
// The rest of the way back. Never fails, never asks the upstream for memory.
void deallocate_slow(pool& to, std::uint32_t size_class, void* block) noexcept;

// Builds that check, drop or poison blocks do so in the slow functions and see every block there.
inline constexpr bool always_slow = hardened || chaotic || poisoning;

inline void* allocate(pool& from, std::uint32_t index, std::uint32_t size_class) noexcept {
    if constexpr (!always_slow)
        if (void* block = take(index, size_class)) [[likely]]
            return block;
    return allocate_slow(from, size_class);
}

inline void deallocate(pool& to, std::uint32_t index, std::uint32_t size_class, void* block) noexcept {
    if constexpr (!always_slow)
        if (give(index, size_class, block)) [[likely]]
            return;
    deallocate_slow(to, size_class, block);
}

}  // namespace tidepool::inline TIDEPOOL_ABI::detail

// A fixed ring of pointers: one owner pushes and pops at the head, any thread pops at the tail. Lock-free.
//
//            | push_head  pop_head   pop_tail
//   ---------+---------------------------------------------------------------
//   owner    | yes        yes        yes      never two of the first two at once
//   others   | no         no         yes      as many as like
//
// Invariants:
//  1. One word holds both ends: head in the upper half, tail in the lower, counted modulo 2^32. Both ends contend on
//     that word alone, so the last value goes to exactly one of them, with no fence and no ABA.
//  2. 0 <= head - tail <= size. The slots of [tail, head) belong to the ring; the one at `head` belongs to the owner if
//     it is null, and otherwise to the thief that has claimed its value and not yet cleared it.
//
// Source of the algorithm: Go's sync package, poolqueue.go (poolDequeue).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/assert.hpp"
#include "base/fatal.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

enum class pushed {
    yes,
    full,  // all slots hold values
    busy,  // the slot's last value is claimed but not yet cleared: full for now, and no reason to grow
};

template <class T>
class dequeue {
public:
    // `slots` holds `size` null pointers, `size` a power of two. `start`: where both ends begin to count.
    dequeue(std::atomic<T*>* slots, std::uint32_t size, std::uint32_t start = 0) noexcept
        : ends_(pack(start, start)), slots_(slots), mask_(size - 1) {}

    std::uint32_t size() const noexcept { return mask_ + 1; }

    // Owner. O(1), no loop.
    pushed push_head(T* value) noexcept {
        TIDEPOOL_ASSERT(value, "null is no value");
        // Relaxed: only we move the head. A stale tail makes the ring look fuller than it is, never emptier.
        const std::uint64_t ends = ends_.load(std::memory_order_relaxed);
        if (head_of(ends) - tail_of(ends) == size()) return pushed::full;
        std::atomic<T*>& slot = slots_[head_of(ends) & mask_];
        // Acquire: partner of the thief's clearing store; the slot is ours once it is null.
        if (slot.load(std::memory_order_acquire)) return pushed::busy;
        slot.store(value, std::memory_order_relaxed);  // relaxed: published by the next line
        // Release half: the slot and what `value` points to, for the acquire of both pops. Sequentially consistent as
        // a whole, because hint::raise() reads its bit after this and must not read it early (hint.hpp).
        ends_.fetch_add(std::uint64_t{1} << 32, std::memory_order_seq_cst);  // before raise() loads its bit
        return pushed::yes;
    }

    // Owner. Null when empty. Repeats only when a thief took a value meanwhile.
    T* pop_head() noexcept {
        std::uint64_t ends = ends_.load(std::memory_order_relaxed);  // relaxed: the exchange decides
        do {
            if (head_of(ends) == tail_of(ends)) return nullptr;
        } while (!ends_.compare_exchange_weak(ends, pack(head_of(ends) - 1, tail_of(ends)), std::memory_order_acquire,
                                              std::memory_order_relaxed));
        std::atomic<T*>& slot = slots_[(head_of(ends) - 1) & mask_];
        // The head has moved back, so no thief can reach the slot any more: it is ours alone. Relaxed for that reason.
        T* value = slot.load(std::memory_order_relaxed);
        slot.store(nullptr, std::memory_order_relaxed);
        return value;
    }

    // Any thread. Null when empty. Repeats only when another pop got a value meanwhile.
    T* pop_tail() noexcept {
        std::uint64_t ends = ends_.load(std::memory_order_relaxed);  // relaxed: the exchange decides
        do {
            if (head_of(ends) == tail_of(ends)) return nullptr;
            // Acquire: partner of push_head's release. It makes the slot's value, and what it points to, ours to read.
        } while (!ends_.compare_exchange_weak(ends, pack(head_of(ends), tail_of(ends) + 1), std::memory_order_acquire,
                                              std::memory_order_relaxed));
        std::atomic<T*>& slot = slots_[tail_of(ends) & mask_];
        T* value = slot.load(std::memory_order_relaxed);  // relaxed: the exchange has acquired it
        slot.store(nullptr, std::memory_order_release);   // our load is over; the owner may reuse the slot
        return value;
    }

    // Any thread. Sequentially consistent: the "look again" of hint::lower().
    bool empty() const noexcept {
        const std::uint64_t ends = ends_.load(std::memory_order_seq_cst);  // after lower() has stored its bit
        return head_of(ends) == tail_of(ends);
    }

    // Ends the program where an invariant does not hold. Owner, or who keeps it out. Whether the free slots are empty
    // can be asked only while nobody pops: `still`. Linear in what it holds, or in its size.
    void check(bool still) const noexcept {
        const std::uint64_t ends = ends_.load(std::memory_order_acquire);
        const std::uint32_t count = head_of(ends) - tail_of(ends);
        if (count > size()) fatal("a dequeue of %u slots counts %u values", size(), count);
        for (std::uint32_t i = 0; i < (still ? size() : count); ++i)
            if (!slots_[(tail_of(ends) + i) & mask_].load(std::memory_order_acquire) == (i < count)) {
                // A thief may have cleared what it has taken since: then the tail has moved.
                if (!still && ends_.load(std::memory_order_relaxed) != ends) return;
                fatal("slot %u of a dequeue of %u values is %s", i, count, i < count ? "empty" : "in use");
            }
    }

private:
    static constexpr std::uint64_t pack(std::uint32_t head, std::uint32_t tail) noexcept {
        return std::uint64_t{head} << 32 | tail;
    }
    static constexpr std::uint32_t head_of(std::uint64_t ends) noexcept {
        return static_cast<std::uint32_t>(ends >> 32);
    }
    static constexpr std::uint32_t tail_of(std::uint64_t ends) noexcept { return static_cast<std::uint32_t>(ends); }

    std::atomic<std::uint64_t> ends_;  // written by the owner and by thieves
    std::atomic<T*>* const slots_;     // fixed; each slot written by who owns it (invariant 2)
    const std::uint32_t mask_;         // fixed; size - 1
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

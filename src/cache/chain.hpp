// A dequeue without a fixed size: a list of rings, each twice as large as the one before it. The owner pushes and pops
// in the newest ring; thieves drain the oldest first. Lock-free for all.
//
// Invariants:
//  1. Rings are linked from the oldest (`tail_`) to the newest (`head_`) by `next`. Only the newest is pushed to.
//  2. A ring that has a `next` and is empty stays empty for ever and may be dropped from the tail.
//  3. A dropped ring is never freed or linked in again while the arena lives, so a late thief that still holds it finds
//     it empty and harmless. All dropped rings together are smaller than the newest one, because sizes double.
//
// Source of the algorithm: Go's sync package, poolqueue.go (poolChain).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/arena.hpp"
#include "base/assert.hpp"
#include "base/fatal.hpp"
#include "base/test_peer.hpp"
#include "cache/dequeue.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <class T>
class chain {
public:
    static constexpr std::uint32_t first_size = 2;  // a thread has two chains of each class, and most hold that little

    // Owner. False when the newest ring has no room and no larger one can be had: it is size_max long already, there is
    // no memory, or a thief is just leaving the slot. Needs size_max >= first_size. O(1), but for a new ring.
    bool push_head(T* value, arena& rings, std::uint32_t size_max) noexcept {
        TIDEPOOL_ASSERT(value && size_max >= first_size, "a chain of %u slots", size_max);
        ring* newest = head_;
        if (!newest) {
            newest = grow(rings, first_size);
        } else {
            const pushed result = newest->values.push_head(value);
            if (result != pushed::full) return result == pushed::yes;
            newest = newest->values.size() < size_max ? grow(rings, newest->values.size() * 2) : nullptr;
        }
        return newest && newest->values.push_head(value) == pushed::yes;
    }

    // Owner. Null when empty.
    T* pop_head() noexcept {
        for (ring* r = head_; r; r = r->previous.load(std::memory_order_acquire))  // partner: the store in pop_tail()
            if (T* value = r->values.pop_head()) return value;
        return nullptr;
    }

    // Any thread. Null when empty. Bounded by the number of rings, which is logarithmic in the size.
    T* pop_tail() noexcept {
        ring* r = tail_.load(std::memory_order_acquire);  // partner: grow()
        while (r) {
            // `next` is loaded before the pop: if it is set by then, the ring was no longer pushed to when the pop
            // found it empty, so it is empty for ever. The other way round a value could be pushed, and a next ring
            // linked, between an empty pop and the load, and we would drop a ring that is not empty. (Invariant 2.)
            ring* next = r->next.load(std::memory_order_acquire);  // partner: grow()
            if (T* value = r->values.pop_tail()) return value;
            if (!next) return nullptr;
            // Whoever wins the exchange drops the ring. Release: hands on what grow() published about `next`.
            ring* expected = r;
            if (tail_.compare_exchange_strong(expected, next, std::memory_order_acq_rel, std::memory_order_relaxed))
                next->previous.store(nullptr, std::memory_order_release);  // the owner stops going there
            r = next;
        }
        return nullptr;
    }

    // Any thread. As dequeue::empty().
    bool empty() const noexcept {
        constexpr auto in_order = std::memory_order_seq_cst;  // both after lower() has stored its bit; partner: grow()
        for (const ring* r = tail_.load(in_order); r; r = r->next.load(in_order))
            if (!r->values.empty()) return false;
        return true;
    }

    // Ends the program where an invariant does not hold. Owner, or who keeps it out; `still` as for dequeue::check().
    // Linear in what it holds.
    void check(bool still) const noexcept {
        const ring* newest = nullptr;
        for (const ring* r = tail_.load(std::memory_order_acquire); r; r = r->next.load(std::memory_order_acquire)) {
            if (newest && r->values.size() != newest->values.size() * 2)
                fatal("a chain's ring of %u slots follows one of %u", r->values.size(), newest->values.size());
            newest = r;
        }
        if (newest != head_) fatal("a chain does not end at its newest ring");
        for (const ring* r = head_; r; r = r->previous.load(std::memory_order_acquire)) {
            const ring* older = r->previous.load(std::memory_order_acquire);  // null once a thief has dropped it
            if (older && older->next.load(std::memory_order_acquire) != r)
                fatal("a chain's rings are linked one way only");
            r->values.check(still);
        }
    }

private:
    friend struct test_peer<chain>;
    // Its slots stand right behind: together with the first two it fills a cache line.
    struct ring {
        dequeue<T> values;
        std::atomic<ring*> next{nullptr};      // the next newer; written once by the owner, read by thieves
        std::atomic<ring*> previous{nullptr};  // the next older; written by owner and dropping thief, read by the owner

        explicit ring(std::atomic<T*>* slots, std::uint32_t size) noexcept : values(slots, size) {}
    };
    static_assert(sizeof(ring) + first_size * sizeof(std::atomic<T*>) <= apart / 2);

    // Owner. Links a new ring of `size` slots in at the head; null when there is no memory.
    ring* grow(arena& rings, std::uint32_t size) noexcept {
        const std::size_t bytes = sizeof(ring) + size * sizeof(std::atomic<T*>),
                          step = size == first_size ? apart / 2 : apart;
        void* place = rings.allocate((bytes + step - 1) / step * step, step);
        if (!place) return nullptr;
        auto* slots = reinterpret_cast<std::atomic<T*>*>(static_cast<std::byte*>(place) + sizeof(ring));
        for (std::uint32_t i = 0; i < size; ++i) ::new (slots + i) std::atomic<T*>(nullptr);
        auto* fresh = ::new (place) ring(slots, size);
        if (!head_) {
            tail_.store(fresh, std::memory_order_seq_cst);  // release: the ring itself, for pop_tail(); see empty()
        } else {
            fresh->previous.store(head_, std::memory_order_relaxed);  // relaxed: read by the owner, or after `next`
            head_->next.store(fresh, std::memory_order_seq_cst);      // release: the ring itself, for pop_tail()
        }
        head_ = fresh;
        return fresh;
    }

    ring* head_ = nullptr;              // the newest; the owner's
    std::atomic<ring*> tail_{nullptr};  // the oldest; written by thieves, and once by the owner
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// A hash table from addresses to small values, in memory of its own. All members are thread-safe except the destructor.
//
// For what is looked up rarely: large blocks, and every block of a hardened build. Open addressing, linear probing,
// deletion by moving back.
//
// Invariants, under the lock:
//  1. `count` slots have a key, at most half of them as long as there is memory, and never all.
//  2. A search for a key, from its slot on, meets it before it meets an empty slot.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/fatal.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/spin_lock.hpp"
#include "base/test_peer.hpp"
#include "base/thread_safety.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <class Value>
class address_table {
    static_assert(std::is_trivially_copyable_v<Value>);

public:
    // `rank`: of its lock.
    constexpr explicit address_table(lock_rank rank) noexcept : lock_(rank) {}
    address_table(const address_table&) = delete;
    address_table& operator=(const address_table&) = delete;
    ~address_table() {
        if (entries_) unmap_pages(entries_, capacity_ * sizeof(entry));
    }

    // Sets the value at p; false when there is no memory. O(1) amortized.
    bool set(const void* p, Value value) noexcept {
        const lock_guard hold(lock_);
        if (entry* e = find(p)) {
            e->value = value;
            return true;
        }
        // Without memory fuller than that, but never full: a search ends at an empty slot.
        if ((count_ + 1) * 2 > capacity_ && !grow() && count_ + 1 >= capacity_) return false;
        insert(p, value);
        return true;
    }

    std::optional<Value> get(const void* p) noexcept {
        const lock_guard hold(lock_);
        const entry* e = find(p);
        return e ? std::optional(e->value) : std::nullopt;
    }

    // Takes p out and returns its value.
    std::optional<Value> erase(const void* p) noexcept {
        const lock_guard hold(lock_);
        entry* e = find(p);
        if (!e) return std::nullopt;
        const Value value = e->value;
        close_gap(static_cast<std::size_t>(e - entries_));
        --count_;
        return value;
    }

    // change(value) under the lock on the value at p, or on a null pointer where there is none. Returns what it
    // returns.
    template <class Change>
    auto update(const void* p, Change change) noexcept {
        const lock_guard hold(lock_);
        entry* e = find(p);
        return change(e ? &e->value : nullptr);
    }

    // use(p, value) for each, under the lock.
    template <class Use>
    void for_each(Use use) noexcept {
        const lock_guard hold(lock_);
        for (std::size_t i = 0; i < capacity_; ++i)
            if (entries_[i].key) use(entries_[i].key, entries_[i].value);
    }

    // Takes all out: use(p, value) for each, without the lock.
    template <class Use>
    void erase_all(Use use) noexcept {
        entry* entries;
        std::size_t capacity;
        {
            const lock_guard hold(lock_);
            entries = std::exchange(entries_, nullptr);
            capacity = std::exchange(capacity_, 0);
            count_ = 0;
        }
        for (std::size_t i = 0; i < capacity; ++i)
            if (entries[i].key) use(entries[i].key, entries[i].value);
        if (entries) unmap_pages(entries, capacity * sizeof(entry));
    }

    // Ends the program where an invariant does not hold. Looks at `slots_max` slots, and at the next ones when called
    // again.
    void check(std::size_t slots_max = static_cast<std::size_t>(-1)) noexcept {
        const lock_guard hold(lock_);
        if (count_ >= capacity_ && capacity_ != 0) fatal("an address table of %zu slots is full", capacity_);
        std::size_t keys = 0;
        for (std::size_t i = 0; i < std::min(slots_max, capacity_); ++i) {
            const entry& e = entries_[check_next_++ & (capacity_ - 1)];
            if (!e.key) continue;
            ++keys;
            if (find(e.key) != &e) fatal("address %p is in a table where no search finds it", e.key);
        }
        if (slots_max >= capacity_ && keys != count_)
            fatal("an address table counts %zu addresses and has %zu", count_, keys);
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    friend struct test_peer<address_table>;
    struct entry {
        const void* key;
        Value value;
    };

    std::size_t slot_of(const void* p) const noexcept TIDEPOOL_REQUIRES(lock_) {
        return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(p) >> 4) * 0x9E3779B97F4A7C15U >> shift_);
    }
    std::size_t after(std::size_t i) const noexcept TIDEPOOL_REQUIRES(lock_) { return (i + 1) & (capacity_ - 1); }

    entry* find(const void* p) noexcept TIDEPOOL_REQUIRES(lock_) {
        if (!entries_) return nullptr;
        for (std::size_t i = slot_of(p); entries_[i].key; i = after(i))
            if (entries_[i].key == p) return &entries_[i];
        return nullptr;
    }

    void insert(const void* p, Value value) noexcept TIDEPOOL_REQUIRES(lock_) {
        std::size_t i = slot_of(p);
        while (entries_[i].key) i = after(i);
        entries_[i] = {p, value};
        ++count_;
    }

    // Empties slot `gap` and moves back what a search would no longer reach across it.
    void close_gap(std::size_t gap) noexcept TIDEPOOL_REQUIRES(lock_) {
        for (std::size_t i = after(gap); entries_[i].key; i = after(i)) {
            const std::size_t wanted = slot_of(entries_[i].key);
            // Distances from `wanted`, round the end: it may move to the gap if the gap is not before its own place.
            if (((i - wanted) & (capacity_ - 1)) >= ((i - gap) & (capacity_ - 1))) {
                entries_[gap] = entries_[i];
                gap = i;
            }
        }
        entries_[gap].key = nullptr;
    }

    bool grow() noexcept TIDEPOOL_REQUIRES(lock_) {
        const std::size_t capacity = capacity_ ? capacity_ * 2 : 128;
        auto* fresh = static_cast<entry*>(map_pages(capacity * sizeof(entry), alignof(entry)));  // zero: empty
        if (!fresh) return false;
        entry* old = std::exchange(entries_, fresh);
        const std::size_t old_capacity = std::exchange(capacity_, capacity);
        shift_ = 64 - static_cast<unsigned>(std::countr_zero(capacity));
        count_ = 0;
        for (std::size_t i = 0; i < old_capacity; ++i)
            if (old[i].key) insert(old[i].key, old[i].value);
        if (old) unmap_pages(old, old_capacity * sizeof(entry));
        return true;
    }

    spin_lock lock_;
    entry* entries_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;
    std::size_t capacity_ TIDEPOOL_GUARDED_BY(lock_) = 0;  // a power of two
    std::size_t count_ TIDEPOOL_GUARDED_BY(lock_) = 0;
    unsigned shift_ TIDEPOOL_GUARDED_BY(lock_) = 64;
    std::size_t check_next_ TIDEPOOL_GUARDED_BY(lock_) = 0;  // slot; where check() goes on
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

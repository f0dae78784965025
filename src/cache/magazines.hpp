// Magazines out of use: lists of them, and the shared stock of empties of one size class.
//
// Why a shared stock: the freeing thread fills magazines and the allocating thread empties them. Kept with the emptier,
// empties would pile up there while the filler makes new ones without end; so all flow back through here, but for a
// spare and those that the emptier has filled itself.
//
// Invariants:
//  1. A magazine has one holder: a local (loaded or spare), a chain, a list, or one thread's stack frame.
//  2. The stock holds empties of one capacity. What it holds when a tick is done may go (src/magazine_slabs.hpp).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/assert.hpp"
#include "base/fatal.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/spin_lock.hpp"
#include "base/test_peer.hpp"
#include "base/thread_safety.hpp"
#include "cache/magazine_slabs.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// A stack of magazines. One thread at a time.
class magazine_list {
public:
    void push(magazine* m) noexcept {
        m->next = first_;
        first_ = m;
    }
    magazine* pop() noexcept {
        magazine* m = first_;
        if (m) first_ = m->next;
        return m;
    }
    bool empty() const noexcept { return !first_; }
    template <class Look>
    void for_each(Look look) const noexcept {
        for (const magazine* m = first_; m; m = m->next) look(*m);
    }
    // All of them, linked by `next`.
    magazine* take_all() noexcept { return std::exchange(first_, nullptr); }

private:
    magazine* first_ = nullptr;
};

// A stack of magazines for all threads. O(1) under a lock that is held for a few instructions.
class shared_magazine_list {
public:
    // `rank`: of its lock.
    explicit shared_magazine_list(lock_rank rank) noexcept : lock_(rank) {}

    void push(magazine* m) noexcept {
        const lock_guard hold(lock_);
        list_.push(m);
        some_.store(true, std::memory_order_relaxed);
    }
    magazine* pop() noexcept {
        const lock_guard hold(lock_);
        magazine* m = list_.pop();
        some_.store(!list_.empty(), std::memory_order_relaxed);
        return m;
    }
    magazine* take_all() noexcept {
        const lock_guard hold(lock_);
        some_.store(false, std::memory_order_relaxed);
        return list_.take_all();
    }
    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }
    // Between these two.
    template <class Look>
    void for_each(Look look) const noexcept {
        lock_.assert_held();
        list_.for_each(look);
    }
    // Ends the program where an empty list seems not to be, or the other way round. Calls look(m) for each, under the
    // lock.
    template <class Look>
    void check(Look look) noexcept {
        const lock_guard hold(lock_);
        if (seems_empty() != list_.empty()) fatal("a list of magazines does not show whether it is empty");
        list_.for_each(look);
    }
    // Relaxed: a hint. Whoever must not miss one calls pop().
    bool seems_empty() const noexcept { return !some_.load(std::memory_order_relaxed); }

private:
    friend struct test_peer<shared_magazine_list>;
    spin_lock lock_;
    magazine_list list_ TIDEPOOL_GUARDED_BY(lock_);
    std::atomic<bool> some_{false};  // written under lock_, read anywhere
};

class magazine_stock {
public:
    void set_up(std::uint32_t size_class, std::uint32_t capacity) noexcept {
        size_class_ = size_class;
        capacity_ = capacity;
    }

    // An empty magazine, or null when there is no memory for a new one. Any thread.
    magazine* take(magazine_slabs& slabs) noexcept {
        if (!empties_.seems_empty())
            if (magazine* m = empties_.pop()) return m;
        return slabs.make(size_class_, capacity_);
    }

    // All empties there are, linked by `next`. Any thread.
    magazine* take_all() noexcept { return empties_.seems_empty() ? nullptr : empties_.take_all(); }

    // Needs: `m` is empty and came from here. Any thread.
    void put(magazine* m) noexcept {
        TIDEPOOL_ASSERT(m->empty() && m->size_class() == size_class_ && m->capacity() == capacity_,
                        "size class %u, of class %u with %zu of %zu blocks", size_class_, m->size_class(), m->count(),
                        m->capacity());
        empties_.push(m);
    }

    std::uint32_t capacity() const noexcept { return capacity_; }

    // Ends the program where a magazine here is not an empty one of the class and the capacity. Any thread. Linear.
    void check() noexcept {
        empties_.check([&](const magazine& m) {
            if (!m.empty() || m.capacity() != capacity_ || m.size_class() != size_class_)
                fatal("the stock of size class %u (%u blocks) has a magazine of class %u with %zu of %zu blocks",
                      size_class_, capacity_, m.size_class(), m.count(), m.capacity());
        });
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { empties_.before_fork(); }
    void after_fork() noexcept { empties_.after_fork(); }

private:
    std::uint32_t size_class_ = 0;  // fixed after set_up()
    std::uint32_t capacity_ = 0;    // fixed after set_up()
    shared_magazine_list empties_{lock_rank::stock};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Memory for magazines: slabs of 64 KiB, each cut into magazines of whatever capacity is asked for next, and unmapped
// when all of a slab's magazines are empty and out of use. A thread that had all size classes full leaves 53 KiB of
// magazines behind, so 500 threads that sleep or have exited would hold 26 MiB for ever.
//
// A magazine, unlike a ring or a local, is never read by anyone but its holder, so its memory may go while late thieves
// are about (magazines.hpp, invariant 1).
//
// make() by any thread; release() by one thread at a time.
//
// Invariants, under the lock:
//  1. `made` magazines lie in a slab, in its first `used` bytes.
//  2. The newest slab is the only one that more are made in. It is never unmapped: a program whose stock swings finds
//     it there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "base/fatal.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/spin_lock.hpp"
#include "base/thread_safety.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class magazine_slabs {
public:
    magazine_slabs() noexcept = default;
    magazine_slabs(const magazine_slabs&) = delete;
    magazine_slabs& operator=(const magazine_slabs&) = delete;
    ~magazine_slabs() {
        while (slab* s = newest_) {
            newest_ = s->older;
            unmap_pages(s, slab_bytes);
        }
    }

    // An empty magazine, or null when there is no memory.
    magazine* make(std::uint32_t size_class, std::uint32_t capacity) noexcept {
        const std::size_t bytes = bytes_of(capacity);
        const lock_guard hold(lock_);
        if ((!newest_ || newest_->used + bytes > slab_bytes) && !grow()) return nullptr;
        void* place = reinterpret_cast<std::byte*>(newest_) + newest_->used;
        newest_->used += bytes;
        ++newest_->made;
        return ::new (place) magazine(size_class, capacity);
    }

    // Unmaps the slabs whose magazines are all in `idle`, a list linked by `next` of magazines that nobody else
    // has, and calls keep(m) for each of the others.
    template <class Keep>
    void release(magazine* idle, Keep keep) noexcept {
        slab* gone = nullptr;
        {
            const lock_guard hold(lock_);
            if (!newest_) return;
            for (slab* s = newest_; s; s = s->older) s->idle = 0;
            for (magazine* m = idle; m; m = m->next) ++slab_of(m)->idle;
            for (slab** link = &newest_->older; slab* s = *link;) {
                s->leaves = s->idle == s->made;
                if (!s->leaves) {
                    link = &s->older;
                    continue;
                }
                *link = s->older;
                s->older = gone;
                gone = s;
            }
        }
        while (magazine* m = idle) {
            idle = m->next;
            if (!slab_of(m)->leaves) keep(m);
        }
        while (slab* s = gone) {
            gone = s->older;
            unmap_pages(s, slab_bytes);
        }
    }

    // Bytes mapped now.
    std::size_t bytes() noexcept {
        const lock_guard hold(lock_);
        std::size_t sum = 0;
        for (const slab* s = newest_; s; s = s->older) sum += slab_bytes;
        return sum;
    }

    // Ends the program where a slab's magazines do not fill its first `used` bytes. Any thread. Linear in the
    // magazines.
    void check() noexcept {
        const lock_guard hold(lock_);
        for (const slab* s = newest_; s; s = s->older) {
            const auto* base = reinterpret_cast<const std::byte*>(s);
            std::size_t at = sizeof(slab);
            for (std::uint32_t i = 0; i < s->made && at < s->used; ++i)  // its capacity is fixed, whoever has it
                at += bytes_of(reinterpret_cast<const magazine*>(base + at)->capacity());
            if (at != s->used || at > slab_bytes)
                fatal("slab %p: its %u magazines end at byte %zu, and %zu are used", static_cast<const void*>(s),
                      s->made, at, s->used);
        }
    }

    // Around a fork, by the forking thread, with nobody in release().
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    static constexpr std::size_t slab_bytes = std::size_t{64} << 10;

    // At the slab's beginning, which is at a multiple of its size.
    struct slab {
        slab* older;
        std::size_t used;
        std::uint32_t made;
        std::uint32_t idle;  // of them, in the list at hand
        bool leaves;         // the slab goes; written under the lock, read by who is in release()
    };

    static constexpr std::size_t bytes_of(std::size_t capacity) noexcept {
        return sizeof(magazine) + capacity * sizeof(void*);
    }
    static_assert(sizeof(slab) + sizeof(magazine) + magazine::capacity_max * sizeof(void*) <= slab_bytes);

    static slab* slab_of(const magazine* m) noexcept {
        return reinterpret_cast<slab*>(reinterpret_cast<std::uintptr_t>(m) & ~(slab_bytes - 1));
    }

    bool grow() noexcept TIDEPOOL_REQUIRES(lock_) {
        void* place = map_pages(slab_bytes, slab_bytes);
        if (!place) return false;
        const slab first{.older = newest_, .used = sizeof(slab), .made = 0, .idle = 0, .leaves = false};
        newest_ = ::new (place) slab(first);
        return true;
    }

    spin_lock lock_{lock_rank::magazine_slabs};
    slab* newest_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;  // linked by `older`
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

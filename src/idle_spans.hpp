// Spans that are wholly home and wait for whoever wants one next, of whatever size class: a program that swings around a
// size need not go to the upstream, and to fresh pages, each time. Any thread; the lock is not held across a call to the
// upstream.
//
// Aging: what lay here for a whole tick without being needed is due to leave with it. As the newest is taken first, that
// is the fewest that lay here at any moment since the tick before, and it is the oldest of them.
//
// Invariants, for each size of span, under the lock:
//  1. `count` spans are linked from `newest` to `oldest`.
//  2. least <= count, and due <= count.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "base/arena.hpp"
#include "base/poison.hpp"
#include "base/spin_lock.hpp"
#include "page_map.hpp"
#include "source.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool::inline TIDEPOOL_ABI::detail {

class idle_spans {
public:
    idle_spans(metered_upstream& below, arena& records) noexcept : below_(below), records_(records) {}

    // A span of this size: the newest idle one, else the upstream's. Null when there is no memory.
    void* take(std::size_t bytes) noexcept {
        {
            std::scoped_lock hold(lock_);
            shelf& s = shelf_of(bytes);
            if (record* found = s.newest) {
                void* base = found->base;
                unlink(s, found);
                s.least = std::min(s.least, s.count);
                s.due = std::min(s.due, s.count);
                return base;
            }
        }
        return below_.allocate(bytes, page_map::page);
    }

    // Keeps a span for the next who wants one.
    void keep(void* base, std::size_t bytes) noexcept {
        {
            std::scoped_lock hold(lock_);
            if (record* r = unused_record()) {
                shelf& s = shelf_of(bytes);
                r->base = base;
                r->older = s.newest;
                r->newer = nullptr;
                (s.newest ? s.newest->newer : s.oldest) = r;
                s.newest = r;
                ++s.count;
                bytes_.fetch_add(bytes, std::memory_order_relaxed);
                return;
            }
        }
        give_back(base, bytes);
    }

    // The memory shall leave the process, whatever the upstream does with it.
    void give_back(void* base, std::size_t bytes) noexcept {
        unpoison(base, bytes);
        below_.give_up(base, bytes, page_map::page);
    }

    // A tick: marks what is due to leave.
    void age() noexcept {
        std::scoped_lock hold(lock_);
        for (shelf& s : shelves_) {
            s.due = s.least;
            s.least = s.count;
        }
    }

    // Gives back up to `spans_max` of those that are due. Returns the bytes.
    std::size_t give_due(std::size_t spans_max) noexcept {
        std::size_t gone = 0;
        for (shelf& s : shelves_)
            for (; spans_max > 0; --spans_max) {
                const std::size_t bytes = give_oldest(s, [&] { return s.due > 0; });
                if (bytes == 0) break;
                gone += bytes;
            }
        return gone;
    }

    // Gives back, the oldest first, until no more than `keep_bytes` are left. Returns the bytes.
    std::size_t shrink(std::size_t keep_bytes) noexcept {
        std::size_t gone = 0;
        for (shelf& s : shelves_)
            while (const std::size_t bytes = give_oldest(s, [&] { return this->bytes() > keep_bytes; })) gone += bytes;
        return gone;
    }

    // Relaxed: a sum.
    std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock(); }
    void after_fork() noexcept { lock_.unlock(); }

private:
    struct record {
        void* base;
        record* newer;
        record* older;
    };
    struct shelf {
        std::size_t span_bytes = 0;  // 0: not in use yet
        record* newest = nullptr;
        record* oldest = nullptr;
        std::size_t count = 0;
        std::size_t least = 0;       // the fewest since the last tick
        std::size_t due = 0;         // of the oldest: leave with the last tick
    };

    // Spans have one of three sizes, or one of their own in a pool of one class of large blocks.
    shelf& shelf_of(std::size_t bytes) noexcept {
        shelf* s = shelves_.data();
        while (s->span_bytes != bytes && s->span_bytes != 0) ++s;
        s->span_bytes = bytes;
        return *s;
    }

    // Gives the oldest back where wanted() says so, under the lock. Returns its bytes, 0 where there was none.
    template <class Wanted>
    std::size_t give_oldest(shelf& s, Wanted wanted) noexcept {
        void* base;
        {
            std::scoped_lock hold(lock_);
            if (!s.oldest || !wanted()) return 0;
            base = s.oldest->base;
            unlink(s, s.oldest);
            s.least = std::min(s.least, s.count);
            s.due -= s.due > 0;
        }
        give_back(base, s.span_bytes);
        return s.span_bytes;
    }

    void unlink(shelf& s, record* r) noexcept {
        (r->newer ? r->newer->older : s.newest) = r->older;
        (r->older ? r->older->newer : s.oldest) = r->newer;
        --s.count;
        bytes_.fetch_sub(s.span_bytes, std::memory_order_relaxed);
        r->older = unused_;
        unused_ = r;
    }

    record* unused_record() noexcept {
        if (!unused_) return records_.make<record>(0);
        record* r = unused_;
        unused_ = r->older;
        return r;
    }

    metered_upstream& below_;
    arena& records_;
    spin_lock lock_;             // guards all below but `bytes_`
    std::array<shelf, 3> shelves_{};
    record* unused_ = nullptr;   // linked by `older`
    std::atomic<std::size_t> bytes_{0};
};

}  // namespace tidepool::inline TIDEPOOL_ABI::detail

// Spans that are all free and wait for whoever wants one next, of whatever size class: a program that swings around a
// size need not go to the upstream, and to fresh pages, each time. Any thread; the lock is not held across a call to
// the upstream.
//
// Aging: what lay here for a whole tick without being needed expires with it. As the newest is taken first,
// that is the fewest that lay here at any moment since the tick before, and it is the oldest of them. A span whose last
// blocks decayed is old already: it expires at once. Expired spans leave a few at a time, because unmapping takes a
// while.
//
// Invariants, for each size of span, under the lock:
//  1. `spans` links `count` spans, the newest first.
//  2. least <= count, and expired <= count.
//  3. Over all sizes: bytes() = the sum of count * span_bytes, expired() = the sum of expired.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/arena.hpp"
#include "base/fatal.hpp"
#include "base/linked_list.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/poison.hpp"
#include "base/spin_lock.hpp"
#include "base/test_peer.hpp"
#include "base/thread_safety.hpp"
#include "source/metered_upstream.hpp"
#include "source/page_map.hpp"
#include "source/source.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class idle_spans {
public:
    // Keeps `bytes_max` at most.
    idle_spans(metered_upstream& from, arena& records, std::size_t bytes_max) noexcept
        : upstream_(from), records_(records), bytes_max_(bytes_max) {}

    // A span of this size: the newest idle one, else the upstream's. Null when there is no memory, or it would grow too
    // far. `eager`: it will be
    // used to its end soon, so its pages are asked for together instead of one fault after the other.
    void* take(std::size_t bytes, bool eager, growth most) noexcept {
        {
            const lock_guard hold(lock_);
            size_list& s = list_of(bytes);
            if (record* found = s.spans.first()) {
                void* base = unlink(s, *found);
                s.least = std::min(s.least, s.count);
                set_expired(s, std::min(s.expired, s.count));
                return base;
            }
        }
        if (most == growth::to_peak && upstream_.held() + bytes > upstream_.peak()) return nullptr;
        void* fresh = upstream_.allocate(bytes, page_map::page);
        if (fresh && eager) populate_pages(fresh, bytes);
        return fresh;
    }

    // Keeps a span for the next who wants one, where there is room.
    void keep(void* base, std::size_t bytes) noexcept {
        {
            const lock_guard hold(lock_);
            if (this->bytes() + bytes <= bytes_max_ && link(base, bytes, false)) return;
        }
        return_span(base, bytes);
    }

    // Keeps a span until return_expired() comes to it.
    void keep_expired(void* base, std::size_t bytes) noexcept {
        {
            const lock_guard hold(lock_);
            if (link(base, bytes, true)) return;
        }
        return_span(base, bytes);
    }

    // The memory shall leave the process, whatever the upstream does with it.
    void return_span(void* base, std::size_t bytes) noexcept {
        unpoison(base, bytes);
        upstream_.release(base, bytes, page_map::page);
    }

    // A tick: marks what has expired.
    void age() noexcept {
        const lock_guard hold(lock_);
        for (size_list& s : lists_) {
            set_expired(s, s.least);
            s.least = s.count;
        }
    }

    // Returns up to `spans_max` expired ones to the upstream. Returns their bytes.
    std::size_t return_expired(std::size_t spans_max) noexcept {
        std::size_t gone = 0;
        for (std::size_t i = 0; i < sizes_max; ++i)
            for (; spans_max > 0; --spans_max) {
                const std::size_t bytes = return_oldest(i, [](const size_list& s) { return s.expired > 0; });
                if (bytes == 0) break;
                gone += bytes;
            }
        return gone;
    }

    // Returns the oldest to the upstream until no more than `keep_bytes` are left. Returns their bytes.
    std::size_t shrink(std::size_t keep_bytes) noexcept {
        std::size_t gone = 0;
        for (std::size_t i = 0; i < sizes_max; ++i)
            while (const std::size_t bytes = return_oldest(i, [&](auto&) { return this->bytes() > keep_bytes; }))
                gone += bytes;
        return gone;
    }

    // Relaxed: sums.
    std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
    std::size_t expired() const noexcept { return expired_.load(std::memory_order_relaxed); }

    // Aborts with a message where an invariant does not hold. Takes the lock. Linear in the spans.
    void check() noexcept {
        const lock_guard hold(lock_);
        std::size_t bytes = 0, expired = 0;
        for (const size_list& s : lists_) {
            if (!s.spans.whole()) fatal("the list of idle spans of %zu bytes is broken", s.span_bytes);
            std::size_t count = 0;
            for (const record* r = s.spans.first(); r; r = s.spans.after(*r)) ++count;
            if (count != s.count)
                fatal("idle spans of %zu bytes: %zu are counted and %zu are linked", s.span_bytes, s.count, count);
            if (s.least > s.count || s.expired > s.count)
                fatal("idle spans of %zu bytes: of %zu, %zu were always there and %zu are expired", s.span_bytes,
                      s.count, s.least, s.expired);
            bytes += s.count * s.span_bytes;
            expired += s.expired;
        }
        if (bytes != this->bytes() || expired != this->expired())
            fatal("idle spans: %zu bytes and %zu expired are counted, and there are %zu and %zu", this->bytes(),
                  this->expired(), bytes, expired);
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    friend struct test_peer<idle_spans>;
    struct record {
        void* base;
        list_links<record> links;
    };
    struct size_list {
        std::size_t span_bytes = 0;                 // 0: not in use yet
        linked_list<record, &record::links> spans;  // the newest first
        std::size_t count = 0;
        std::size_t least = 0;    // the fewest since the last tick
        std::size_t expired = 0;  // of the oldest: leave with the last tick
    };

    // Spans have one of three sizes, or one of their own in a pool of one class of large blocks.
    static constexpr std::size_t sizes_max = 3;

    size_list& list_of(std::size_t bytes) noexcept TIDEPOOL_REQUIRES(lock_) {
        size_list* s = lists_.data();
        while (s->span_bytes != bytes && s->span_bytes != 0) ++s;
        if (s->span_bytes == 0) s->span_bytes = bytes;
        return *s;
    }

    // Returns the oldest to the upstream where wanted(s) says so. Returns its bytes, 0 where there was none.
    template <class Wanted>
    std::size_t return_oldest(std::size_t size, Wanted wanted) noexcept {
        void* base;
        std::size_t bytes;
        {
            const lock_guard hold(lock_);
            size_list& s = lists_[size];
            if (s.spans.empty() || !wanted(s)) return 0;
            base = unlink(s, *s.spans.last());
            bytes = s.span_bytes;
            s.least = std::min(s.least, s.count);
            if (s.expired > 0) set_expired(s, s.expired - 1);
        }
        return_span(base, bytes);
        return bytes;
    }

    void set_expired(size_list& s, std::size_t expired) noexcept TIDEPOOL_REQUIRES(lock_) {
        expired_.fetch_add(expired - s.expired, std::memory_order_relaxed);
        s.expired = expired;
    }

    // As the newest, or, where it is stale, as the oldest and expired. False when there is no memory for its record.
    bool link(void* base, std::size_t bytes, bool stale) noexcept TIDEPOOL_REQUIRES(lock_) {
        record* r = unused_record();
        if (!r) return false;
        size_list& s = list_of(bytes);
        r->base = base;
        stale ? s.spans.push_back(*r) : s.spans.push_front(*r);
        ++s.count;
        bytes_.fetch_add(bytes, std::memory_order_relaxed);
        if (stale) {
            ++s.least;
            set_expired(s, s.expired + 1);
        }
        return true;
    }

    // Returns the span. Its record is for the next.
    void* unlink(size_list& s, record& r) noexcept TIDEPOOL_REQUIRES(lock_) {
        s.spans.remove(r);
        --s.count;
        bytes_.fetch_sub(s.span_bytes, std::memory_order_relaxed);
        r.links.next = std::exchange(unused_, &r);
        return r.base;
    }

    record* unused_record() noexcept TIDEPOOL_REQUIRES(lock_) {
        if (!unused_) return records_.make<record>(0);
        return std::exchange(unused_, unused_->links.next);
    }

    metered_upstream& upstream_;
    arena& records_;
    const std::size_t bytes_max_;
    spin_lock lock_{lock_rank::idle_spans};
    std::array<size_list, sizes_max> lists_ TIDEPOOL_GUARDED_BY(lock_){};
    record* unused_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;  // linked by links.next
    // Written under the lock, read anywhere.
    std::atomic<std::size_t> bytes_{0};
    std::atomic<std::size_t> expired_{0};  // spans
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

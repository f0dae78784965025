// The regions that an upstream has, and what is where in them. One thread at a time, but for idle() and expired(), and
// for allocating a record.
//
// Complexity: linear in the regions that have room; a word of each is read, and of one that has a place 256 bytes.
//
// Invariants:
//  1. Each region is in the bucket of its base; `open_` links exactly those with a free page, and `expiring_` those
//  with
//     an expired one.
//  2. At most one region is all free without an idle or expired page: the reserve, for a program that swings around the
//     end of a region.
//  3. mapped() is the sum of the regions' bytes, idle() and expired() that of their idle and expired pages'.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "base/arena.hpp"
#include "base/fatal.hpp"
#include "base/linked_list.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/test_peer.hpp"
#include "source/region.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class region_set {
public:
    // Pages that nobody else has.
    struct claim {
        region* in = nullptr;
        region::run pages{0, 0};

        void* base() const noexcept { return in->address(pages.first); }
        std::size_t bytes() const noexcept { return pages.count << in->page_bits; }
    };

    // At the first place, in the region that has been full, or else the longest. Null if there is none. `span`: at the
    // beginning of a slot. `with`: is told which of its pages may hold anything but zeroes.
    void* take(std::size_t bytes, bool span, region::stained* with) noexcept {
        for (region* r = open_.first(); r; r = open_.after(*r)) {
            const standing was(*r);
            const std::size_t at = r->take(r->pages_of(bytes), span, with);
            if (at == region::nowhere) continue;
            settle(*r, was);
            return r->address(at);
        }
        return nullptr;
    }
    // False if it is in no region.
    bool give(const void* p, std::size_t bytes, region::as what) noexcept {
        region* in = find(p);
        if (!in) return false;
        give({in, {in->page_at(p), in->pages_of(bytes)}}, what);
        return true;
    }
    // False if what lies behind it is in use, or it is in no region.
    bool resize(const void* p, std::size_t had, std::size_t bytes) noexcept {
        region* in = find(p);
        if (!in) return false;
        const standing was(*in);
        const bool done = in->resize({in->page_at(p), in->pages_of(had)}, in->pages_of(bytes));
        settle(*in, was);
        return done;
    }
    bool holds(const void* p) noexcept { return find(p); }

    // What was idle at the last call expires. `all`: whatever is idle.
    void age(bool all) noexcept {
        for (region* r = open_.first(); r; r = open_.after(*r)) {
            const standing was(*r);
            r->age(all);
            settle(*r, was);
        }
    }
    // At least so many idle bytes expire, or all: those where a request would come last.
    void expire(std::size_t bytes) noexcept {
        const std::size_t before = idle(), left = before - std::min(before, bytes);
        for (region* r = open_.last(); r && idle() > left; r = r->open_links.previous) {
            const standing was(*r);
            r->expire_last(r->pages_of(idle() - left));
            settle(*r, was);
        }
    }
    // A neighbourhood of expired pages; in no region if there is none.
    claim take_expired(std::size_t bytes_max) noexcept {
        region* in = expiring_.first();
        if (!in) return {};
        const standing was(*in);
        const region::run pages = in->take_expired(bytes_max >> in->page_bits);
        settle(*in, was);
        return {in, pages};
    }
    // Such pages, emptied. Returns their region where it is to go now, taken out.
    region* give_emptied(const claim& pages) noexcept {
        give(pages, region::as::empty);
        if (!is_empty(*pages.in)) return nullptr;
        if (!reserve_) {
            reserve_ = pages.in;
            return nullptr;
        }
        remove(*pages.in);
        return pages.in;
    }
    // Null if there is none.
    region* take_reserve() noexcept {
        region* gone = std::exchange(reserve_, nullptr);
        if (gone) remove(*gone);
        return gone;
    }

    // For a request that it has room for, which comes next. False if there is no memory for its record.
    bool add(void* base, std::size_t bytes) noexcept {
        void* record =
            unused_ ? std::exchange(unused_, unused_->bucket_next) : records_.allocate(sizeof(region), alignof(region));
        if (!record) return false;
        const auto page_bits = static_cast<unsigned>(std::countr_zero(page_bytes()));
        auto* r = ::new (record) region(static_cast<std::byte*>(base), bytes, page_bits);
        r->bucket_next = std::exchange(bucket_of(base), r);
        open_.push_back(*r);
        mapped_ += bytes;
        return true;
    }
    // One that was taken out; its record is for the next.
    void retire(region& gone) noexcept { gone.bucket_next = std::exchange(unused_, &gone); }

    // Bytes. Relaxed: sums.
    std::size_t idle() const noexcept { return idle_.load(std::memory_order_relaxed); }
    std::size_t expired() const noexcept { return expired_.load(std::memory_order_relaxed); }
    std::size_t mapped() const noexcept { return mapped_; }

    // Ends the program where an invariant does not hold. Linear in the regions.
    void check() noexcept {
        if (!open_.whole() || !expiring_.whole()) fatal("a list of regions is broken");
        std::size_t with_room = 0, with_expired = 0, mapped = 0, idle = 0, expired = 0;
        for (const region* r = open_.first(); r; r = open_.after(*r)) ++with_room;
        for (const region* r = expiring_.first(); r; r = expiring_.after(*r)) ++with_expired;
        for (region*& bucket : buckets_)
            for (const region* r = bucket; r; r = r->bucket_next) {
                r->check();
                if (is_empty(*r) != (r == reserve_)) fatal("a region is empty and not the reserve, or the other way");
                if (&bucket_of(r->base) != &bucket)
                    fatal("the region at %p is in the wrong bucket", static_cast<void*>(r->base));
                with_room -= r->free > 0;
                with_expired -= r->expired > 0;
                mapped += r->bytes;
                idle += r->idle << r->page_bits;
                expired += r->expired << r->page_bits;
            }
        if (mapped != mapped_) fatal("regions have %zu bytes and %zu are counted", mapped, mapped_);
        if (with_room != 0 || with_expired != 0)
            fatal("the lists of regions with room and with expired pages do not have exactly those");
        if (idle != this->idle() || expired != this->expired())
            fatal("regions have %zu idle and %zu expired bytes and count %zu and %zu", idle, expired, this->idle(),
                  this->expired());
    }

private:
    friend struct test_peer<region_set>;

    static constexpr std::size_t buckets = 2048;

    static bool is_empty(const region& r) noexcept { return r.all_free() && r.idle == 0 && r.expired == 0; }

    // What settle() compares a region with: how it was before a change.
    struct standing {
        explicit standing(const region& r) noexcept
            : room(r.free > 0), expiring(r.expired > 0), idle(r.idle), expired(r.expired) {}
        const bool room, expiring;
        const std::size_t idle, expired;
    };
    void settle(region& r, const standing& was) noexcept {
        // One that has room again goes first, because it is nearly full: the others have time to become all free.
        if (was.room != (r.free > 0)) was.room ? open_.remove(r) : open_.push_front(r);
        if (was.expiring != (r.expired > 0)) was.expiring ? expiring_.remove(r) : expiring_.push_back(r);
        idle_.fetch_add((r.idle - was.idle) << r.page_bits, std::memory_order_relaxed);
        expired_.fetch_add((r.expired - was.expired) << r.page_bits, std::memory_order_relaxed);
        if (&r == reserve_ && !is_empty(r)) reserve_ = nullptr;
    }
    void give(const claim& pages, region::as what) noexcept {
        const standing was(*pages.in);
        pages.in->give(pages.pages, what);
        settle(*pages.in, was);
    }

    // Of 32 MiB of addresses each; a region begins in one of them and may end in the next.
    region*& bucket_of(std::uintptr_t address) noexcept { return buckets_[address / region::bytes_max % buckets]; }
    region*& bucket_of(const void* p) noexcept { return bucket_of(reinterpret_cast<std::uintptr_t>(p)); }

    region* find(const void* p) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(p);
        for (const std::uintptr_t begins : {address, address - region::bytes_max})
            for (region* r = bucket_of(begins); r; r = r->bucket_next)
                if (r->holds(p)) return r;
        return nullptr;
    }

    void remove(region& gone) noexcept {
        open_.remove(gone);
        mapped_ -= gone.bytes;
        region** link = &bucket_of(gone.base);
        while (*link != &gone) link = &(*link)->bucket_next;
        *link = gone.bucket_next;
    }

    std::array<region*, buckets> buckets_{};
    linked_list<region, &region::open_links> open_;
    linked_list<region, &region::expiring_links> expiring_;
    region* reserve_ = nullptr;
    region* unused_ = nullptr;  // records, linked by bucket_next
    std::size_t mapped_ = 0;
    // Read at any time; bytes.
    std::atomic<std::size_t> idle_{0}, expired_{0};
    arena records_{lock_rank::region_records};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

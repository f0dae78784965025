// A region: up to 32 MiB of address space in pages of the operating system, from which spans and large blocks are cut,
// and what is in its pages. Not thread-safe. The record has 4.4 KiB, 1/7500 of what a full-sized region maps.
//
// A page that is not used is empty, as it was mapped; idle, kept for the next who wants it; or expired, to be emptied.
//
// Invariants:
//  1. `used`, `idle` and `expired` are disjoint, `old` lies within `idle`, and pages beyond the end are used.
//  2. `free` counts the pages that are not used, `idle` and `expired` those.
//  3. `longest` of a word is the most free pages that follow one another from one in that word on whose predecessor is
//     used; `room` is the most in any word. From the beginning of a slot on no more than `slots_room` are free.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include "base/fatal.hpp"
#include "base/linked_list.hpp"
#include "source/page_map.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

struct region {
    static constexpr std::size_t slot_bytes = page_map::page;  // what spans are aligned to
    static constexpr std::size_t bytes_max = std::size_t{32} << 20;
    static constexpr std::size_t span_bytes_max = std::size_t{4} << 20;  // of a large block, too
    static constexpr unsigned page_bits_min = 12;
    static constexpr std::size_t span_pages_max = span_bytes_max >> page_bits_min;
    static constexpr std::size_t word_bits = 64;
    static constexpr std::size_t words_max = (bytes_max >> page_bits_min) / word_bits;
    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

    // What is known of 64 pages.
    struct word {
        std::uint64_t used, idle, old, expired;
    };
    struct run {
        std::size_t first, count;  // pages
    };
    // Which pages of a run may hold anything but zeroes, the first at 0.
    using stained = std::bitset<span_pages_max>;

    std::byte* base;
    std::size_t bytes;
    std::size_t pages;
    unsigned page_bits;
    std::size_t free, idle = 0, expired = 0;  // pages
    std::size_t room;                         // pages
    std::size_t slots_room;                   // pages, as the searches since the last give() found
    // Pages, of the runs that begin in each word.
    std::array<std::int16_t, words_max> longest{};
    region* bucket_next = nullptr;  // for who has many
    list_links<region> open_links, expiring_links;
    std::array<word, words_max> words;  // of the pages; those beyond the last one's are not touched

    // `its_bytes`: whole slots, at most bytes_max. `bits`: a page has 1 << bits bytes, at most a slot.
    region(std::byte* at, std::size_t its_bytes, unsigned bits) noexcept
        : base(at),
          bytes(its_bytes),
          pages(its_bytes >> bits),
          page_bits(bits),
          free(pages),
          room(pages),
          slots_room(pages) {
        for (std::size_t w = 0; w * word_bits < pages; ++w) words[w] = {};
        if (const std::size_t last = pages % word_bits) words[pages / word_bits].used = ~ones(last);
        longest[0] = static_cast<std::int16_t>(pages);
    }

    bool holds(const void* p) const noexcept { return offset_of(p) < bytes; }
    bool all_free() const noexcept { return free == pages; }
    std::size_t page_at(const void* p) const noexcept { return offset_of(p) >> page_bits; }
    std::byte* address(std::size_t page) const noexcept { return base + (page << page_bits); }
    std::size_t pages_of(std::size_t of_bytes) const noexcept {
        return (of_bytes + (std::size_t{1} << page_bits) - 1) >> page_bits;
    }

    // The first place for so many pages; of a span, at the beginning of a slot. `nowhere` if there is none. What is in
    // use stays together at the low end, so that what is not can leave.
    std::size_t take(std::size_t count, bool span, stained* with = nullptr) noexcept {
        if (count > (span ? std::min(room, slots_room) : room)) return nowhere;
        const std::size_t at = place_for(count, span ? slot_bytes >> page_bits : 1);
        if (at == nowhere)
            slots_room = count - 1;
        else
            use({at, count}, with);
        return at;
    }

    enum class as { idle, expired, empty };
    void give(run block, as what) noexcept {
        for_each_word(block, [&](word& w, std::uint64_t mask) {
            w.used &= ~mask;
            if (what == as::idle) w.idle |= mask;
            if (what == as::expired) w.expired |= mask;
        });
        free += block.count;
        if (what == as::idle) idle += block.count;
        if (what == as::expired) expired += block.count;
        slots_room = std::max(slots_room, find_longest(block));
    }

    // Uses the pages behind a block, or frees those at its end. False if they are in use.
    bool resize(run block, std::size_t count) noexcept {
        const std::size_t end = block.first + block.count, wanted_end = block.first + count;
        if (count < block.count) give({wanted_end, block.count - count}, as::idle);
        if (count <= block.count) return true;
        if (wanted_end > pages || next_used(end, wanted_end) != wanted_end) return false;
        use({end, count - block.count}, nullptr);
        return true;
    }

    // What was idle at the call before expires. `all`: whatever is idle.
    void age(bool all = false) noexcept {
        if (idle == 0) return;
        for (std::size_t w = 0; w * word_bits < pages; ++w) {
            const std::uint64_t gone = all ? words[w].idle : words[w].old;
            words[w].expired |= gone;
            words[w].idle &= ~gone;
            words[w].old = words[w].idle;
            const auto count = static_cast<std::size_t>(std::popcount(gone));
            idle -= count;
            expired += count;
        }
    }

    // The last idle pages expire, `count` of them and the rest of 64, or all.
    void expire_last(std::size_t count) noexcept {
        const std::size_t left = idle - std::min(idle, count);
        for (std::size_t w = (pages + word_bits - 1) / word_bits; idle > left; --w) {
            word& last = words[w - 1];
            const auto gone = static_cast<std::size_t>(std::popcount(last.idle));
            last.expired |= last.idle;
            last.idle = last.old = 0;
            idle -= gone;
            expired += gone;
        }
    }

    // A neighbourhood of expired pages, with what is empty between them. It is used until it is given. Needs: there are
    // expired ones.
    run take_expired(std::size_t most) noexcept {
        const auto is_expired = [](const word& w) { return w.expired; };
        const auto is_not = [](const word& w) { return ~w.expired; };
        const auto stops = [](const word& w) { return w.used | w.idle; };
        const std::size_t first = next(0, pages, is_expired);
        const std::size_t stop = next(first, std::min(pages, first + most), stops);
        std::size_t end = first;
        for (std::size_t at = first; at < stop; at = next(end, stop, is_expired)) end = next(at, stop, is_not);
        use({first, end - first}, nullptr);
        return {first, end - first};
    }

    // Ends the program where an invariant does not hold.
    void check() const noexcept {
        std::size_t are_free = 0, are_idle = 0, are_expired = 0;
        for (std::size_t w = 0; w * word_bits < pages; ++w) {
            const auto [u, i, o, e] = words[w];
            if ((u & i) | (u & e) | (i & e) | (o & ~i)) fatal("pages of a region are in two states at once");
            are_free += static_cast<std::size_t>(std::popcount(~u));
            are_idle += static_cast<std::size_t>(std::popcount(i));
            are_expired += static_cast<std::size_t>(std::popcount(e));
        }
        if (are_free != free) fatal("a region has %zu free pages and counts %zu", are_free, free);
        if (are_idle != idle || are_expired != expired)
            fatal("a region has %zu idle and %zu expired pages and counts %zu and %zu", are_idle, are_expired, idle,
                  expired);
        std::size_t most = 0;
        for (std::size_t w = 0; w < words_max; ++w) {
            if (longest_from(w) != longest[w])
                fatal("a region has %d pages of room and notes %d", longest_from(w), longest[w]);
            most = std::max(most, static_cast<std::size_t>(longest[w]));
        }
        if (most != room) fatal("a region has %zu pages of room and counts %zu", most, room);
        if (slots_room < pages && place_for(slots_room + 1, slot_bytes >> page_bits) != nowhere)
            fatal("a region has room for %zu pages and says that it has not", slots_room + 1);
    }

private:
    std::size_t offset_of(const void* p) const noexcept {
        return static_cast<std::size_t>(static_cast<const std::byte*>(p) - base);
    }

    static std::uint64_t ones(std::size_t count) noexcept { return ~std::uint64_t{0} >> (word_bits - count); }

    // what(word, mask) for each word that has pages of the run.
    template <class What>
    void for_each_word(run of, What what) noexcept {
        while (of.count > 0) {
            const std::size_t bit = of.first % word_bits, n = std::min(of.count, word_bits - bit);
            what(words[of.first / word_bits], ones(n) << bit);
            of.first += n;
            of.count -= n;
        }
    }

    // The first page from `from` on for which bits(word) has one; `limit` where there is none before.
    template <class Bits>
    std::size_t next(std::size_t from, std::size_t limit, Bits bits) const noexcept {
        while (from < limit) {
            if (const std::uint64_t rest = bits(words[from / word_bits]) >> from % word_bits)
                return std::min(limit, from + static_cast<std::size_t>(std::countr_zero(rest)));
            from = (from / word_bits + 1) * word_bits;
        }
        return limit;
    }
    std::size_t next_used(std::size_t from, std::size_t limit) const noexcept {
        return next(from, limit, [](const word& w) { return w.used; });
    }

    // How many pages right before this one are free.
    std::size_t free_before(std::size_t page) const noexcept {
        std::size_t n = 0;
        while (n < page) {
            const std::size_t bit = (page - n - 1) % word_bits;
            const std::uint64_t below = words[(page - n - 1) / word_bits].used << (word_bits - 1 - bit);
            if (below) return n + static_cast<std::size_t>(std::countl_zero(below));
            n += bit + 1;
        }
        return n;
    }

    // The free pages of word w whose predecessor is used.
    std::uint64_t begins_in(std::size_t w) const noexcept {
        const std::uint64_t before = w == 0 ? ~std::uint64_t{0} : words[w - 1].used;
        return ~words[w].used & (words[w].used << 1 | before >> (word_bits - 1));
    }
    std::int16_t longest_from(std::size_t w) const noexcept {
        std::size_t most = 0;
        if (w * word_bits < pages)
            for (std::uint64_t all = begins_in(w); all != 0; all &= all - 1) {
                const std::size_t begins = w * word_bits + static_cast<std::size_t>(std::countr_zero(all));
                most = std::max(most, next_used(begins, pages) - begins);
            }
        return static_cast<std::int16_t>(most);
    }

    // Brings `longest` and `room` up to date where pages have changed. Returns how many are free around them.
    std::size_t find_longest(run changed) noexcept {
        const std::size_t end = changed.first + changed.count, begins = changed.first - free_before(changed.first);
        longest[begins / word_bits] = longest_from(begins / word_bits);
        for (std::size_t w = changed.first / word_bits; w <= end / word_bits && w < words_max; ++w)
            longest[w] = longest_from(w);
        std::int16_t most = 0;
        for (const std::int16_t each : longest) most = std::max(most, each);
        room = static_cast<std::size_t>(most);
        return next_used(begins, pages) - begins;
    }

    std::size_t place_for(std::size_t count, std::size_t step) const noexcept {
        for (std::size_t w = 0; w * word_bits < pages; ++w) {
            if (static_cast<std::size_t>(longest[w]) < count) continue;
            for (std::uint64_t all = begins_in(w); all != 0; all &= all - 1) {
                const std::size_t begins = w * word_bits + static_cast<std::size_t>(std::countr_zero(all));
                const std::size_t place = (begins + step - 1) & ~(step - 1);
                if (place + count <= pages && next_used(begins, place + count) == place + count) return place;
            }
        }
        return nowhere;
    }

    void use(run taken, stained* with) noexcept {
        if (with)
            for (std::size_t i = 0; i < taken.count; ++i) {
                const word& w = words[(taken.first + i) / word_bits];
                (*with)[i] = (w.idle | w.expired) >> (taken.first + i) % word_bits & 1;
            }
        for_each_word(taken, [&](word& w, std::uint64_t mask) {
            idle -= static_cast<std::size_t>(std::popcount(w.idle & mask));
            expired -= static_cast<std::size_t>(std::popcount(w.expired & mask));
            w.used |= mask;
            w.idle &= ~mask;
            w.old &= ~mask;
            w.expired &= ~mask;
        });
        free -= taken.count;
        find_longest(taken);
    }
};
static_assert(sizeof(region) <= 4480);

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// A region: up to 32 MiB of address space in slots of 64 KiB, from which spans are cut, and which of them are used. Not
// thread-safe. The record has 128 bytes, at most 1/4096 of what it stands for.
//
// Invariants:
//  1. Bit i of `used` is clear exactly if slot i is part of no span in use; `free` counts those. Bits for slots beyond
//     the end are set.
//  2. There is no room for a span of `too_many` slots or more.
#pragma once

#include <array>
#include <bit>
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
    static constexpr std::size_t slot_bytes = page_map::page;
    static constexpr std::size_t bytes_max = std::size_t{32} << 20;
    static constexpr std::size_t word_bits = 64;
    static constexpr std::size_t slots_max = bytes_max / slot_bytes;
    static constexpr std::size_t span_bytes_max =
        word_bits * slot_bytes;  // one word of bits; the largest span there is

    std::byte* base;
    std::size_t bytes;
    std::size_t free;
    std::size_t too_many;  // as the searches since the last give() found
    region* bucket_next;   // for who has many
    list_links<region> open_links;
    std::array<std::uint64_t, slots_max / word_bits> used;

    // `bytes`: whole slots, at most bytes_max.
    static region of(std::byte* base, std::size_t bytes) noexcept {
        const std::size_t slots = bytes / slot_bytes;
        region made{.base = base,
                    .bytes = bytes,
                    .free = slots,
                    .too_many = word_bits + 1,
                    .bucket_next = nullptr,
                    .open_links = {},
                    .used = {}};
        for (std::size_t slot = slots; slot < slots_max; ++slot)
            made.used[slot / word_bits] |= std::uint64_t{1} << slot % word_bits;
        return made;
    }

    bool holds(const std::byte* p) const noexcept { return static_cast<std::size_t>(p - base) < bytes; }
    bool all_free() const noexcept { return free * slot_bytes == bytes; }

    // Null if there is no room for a span of that size, whole slots up to span_bytes_max.
    void* take(std::size_t span_bytes) noexcept {
        const std::size_t count = span_bytes / slot_bytes;
        if (count >= too_many) return nullptr;
        const std::size_t slot = place_for(count);
        if (slot == nowhere) {
            too_many = count;
            return nullptr;
        }
        used[slot / word_bits] |= ones(count) << slot % word_bits;
        free -= count;
        return base + slot * slot_bytes;
    }

    void give(const std::byte* p, std::size_t span_bytes) noexcept {
        const std::size_t slot = static_cast<std::size_t>(p - base) / slot_bytes, count = span_bytes / slot_bytes;
        used[slot / word_bits] &= ~(ones(count) << slot % word_bits);
        free += count;
        too_many = word_bits + 1;
    }

    // Ends the program where an invariant does not hold.
    void check() const noexcept {
        std::size_t clear = slots_max;
        for (const std::uint64_t word : used) clear -= static_cast<std::size_t>(std::popcount(word));
        if (clear != free) fatal("a region has %zu free slots and counts %zu", clear, free);
        if (too_many <= word_bits && place_for(too_many) != nowhere)
            fatal("a region has room for %zu slots and says that it has not", too_many);
    }

private:
    static constexpr std::size_t nowhere = slots_max;

    static std::uint64_t ones(std::size_t count) noexcept { return ~std::uint64_t{0} >> (word_bits - count); }

    // A span begins at a multiple of the power of two that holds it, within one word of bits. So where it has no place,
    // no larger one has.
    std::size_t place_for(std::size_t count) const noexcept {
        const std::size_t step = std::bit_ceil(count);
        for (std::size_t w = 0; w < used.size(); ++w)
            for (std::size_t at = 0; used[w] != ~std::uint64_t{0} && at + count <= word_bits; at += step)
                if (!(used[w] & ones(count) << at)) return w * word_bits + at;
        return nowhere;
    }
};
static_assert(sizeof(region) <= 128);

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Size classes: from a request to the block that serves it. Pure arithmetic, any thread.
//
// Invariants (tests/unit/size_classes.cpp proves them):
//  1. Class sizes rise, are multiples of 16, end at 32 KiB, and every power of two from 16 on is one.
//  2. Up to 128 B they are 16 bytes apart; above, eight to the doubling, so that a block is at most 9/8 of the smallest
//     request above the class before it: internal waste stays under 12.5 %.
//  3. A block of a class is aligned to the largest power of two that divides the class size, up to 64 KiB: spans start
//     at multiples of 64 KiB and blocks at multiples of their size. That is what serves every alignment to 4096.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

inline constexpr std::size_t granule = 16;  // bytes; the smallest block and what sizes are multiples of
inline constexpr std::size_t pooled_bytes_max = 32768;
inline constexpr std::size_t pooled_alignment_max = 4096;
inline constexpr std::uint32_t size_class_count = 72;
inline constexpr std::uint32_t no_size_class = size_class_count;  // the request is for the upstream

// Block size in bytes of a class. O(1).
constexpr std::size_t size_class_bytes(std::uint32_t size_class) noexcept {
    if (size_class < 8) return granule * (size_class + 1);
    const std::uint32_t doubling = (size_class - 8) / 8, step = (size_class - 8) % 8;
    return (granule << doubling) * (9 + step);
}

// The smallest class with blocks of at least `bytes` bytes. Needs bytes <= pooled_bytes_max. O(1).
constexpr std::uint32_t size_class_computed(std::size_t bytes) noexcept {
    if (bytes <= granule) return 0;
    const std::size_t last = bytes - 1;
    if (bytes <= 128) return static_cast<std::uint32_t>(last / granule);
    const auto doubling = static_cast<std::uint32_t>(std::bit_width(last)) - 8;
    return 8 + 8 * doubling + static_cast<std::uint32_t>((last >> (doubling + 4)) - 8);
}

// Where a class's hot bin lies among those of a local, in bytes (magazine.hpp). The first place is no class's.
inline constexpr std::size_t bin_stride = 32;
constexpr std::size_t bin_offset_of(std::size_t size_class) noexcept { return (size_class + 1) * bin_stride; }
constexpr std::uint32_t size_class_at(std::size_t bin_offset) noexcept {
    return static_cast<std::uint32_t>(bin_offset / bin_stride - 1);
}

// The same by look-up, two bytes for each 16 bytes of request: not the class but its place, which is what a hit wants.
constexpr auto bin_offsets() noexcept {
    std::array<std::uint16_t, pooled_bytes_max / granule + 1> table{};
    for (std::size_t i = 0; i < table.size(); ++i)
        table[i] = static_cast<std::uint16_t>(bin_offset_of(size_class_computed(i * granule)));
    return table;
}
inline constexpr auto bin_offset_table = bin_offsets();

// Needs bytes <= pooled_bytes_max.
constexpr std::size_t bin_offset_looked_up(std::size_t bytes) noexcept {
    return bin_offset_table[(bytes + granule - 1) / granule];
}

// The class for an over-aligned request (alignment above 16), or no_size_class. O(1): at most seven steps, because
// every eighth class is a power of two.
constexpr std::uint32_t size_class_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    if (alignment > pooled_alignment_max || bytes > pooled_bytes_max) return no_size_class;
    const std::size_t rounded = bytes == 0 ? alignment : (bytes + alignment - 1) & ~(alignment - 1);
    if (rounded > pooled_bytes_max) return no_size_class;
    std::uint32_t size_class = size_class_computed(rounded);
    while (size_class_bytes(size_class) % alignment != 0) ++size_class;
    return size_class;
}

// The class that serves a request, or no_size_class. A request of zero bytes gets a block of the smallest class.
constexpr std::uint32_t size_class_of(std::size_t bytes, std::size_t alignment) noexcept {
    if (alignment > granule) [[unlikely]]
        return size_class_aligned(bytes, alignment);
    if (bytes > pooled_bytes_max) [[unlikely]]
        return no_size_class;
    return size_class_at(bin_offset_looked_up(bytes));
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// From any address to the span it lies in. Process-wide, over the whole user address space; costs memory only where it
// is touched: 8 bytes for each 64 KiB of spans. Any thread.
//
// Two levels: the upper 16 of 48 address bits choose a leaf, the next 16 the entry, the last 16 lie within a span's page.
// Leaves are never freed.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool::inline TIDEPOOL_ABI::detail {

struct span;

namespace page_map {

inline constexpr std::size_t page = std::size_t{64} << 10;  // bytes; what spans are aligned to and multiples of

// The span at `p`, or null: two dependent loads.
span* find(const void* p) noexcept;

// Enters `s` for [base, base + bytes); false when there is no memory for a leaf or the address lies beyond 48 bits.
// Nobody else may set an overlapping range.
bool set(const void* base, std::size_t bytes, span* s) noexcept;

// Takes a range out again.
void clear(const void* base, std::size_t bytes) noexcept;

}  // namespace page_map

}  // namespace tidepool::inline TIDEPOOL_ABI::detail

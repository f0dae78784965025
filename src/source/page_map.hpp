// From any address to the span it lies in and to its size class. Process-wide, over the whole user address space; costs
// memory only where it is touched: 8 bytes for each 64 KiB of spans. Any thread.
//
// Two levels: the upper 16 of 48 address bits choose a leaf, the next 16 the entry, the last 16 lie within a span's
// page. Leaves are never freed. Beside them stands the digest, a small table with the size class of the pages that were
// entered last: a free that knows no size finds its class there with one load as a rule, and with two more where the
// digest has another page in that place.
//
// Invariant of the digest: a line that names a page has its class, as long as the page is in the map; a line is taken
// out with its page.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

struct span;

namespace page_map {

inline constexpr unsigned page_bits = 16, leaf_bits = 16, root_bits = 16;
inline constexpr std::size_t page = std::size_t{1} << page_bits;  // bytes; what spans are aligned to and multiples of

// The span's address, and its size class plus one in the bits from class_bit on; 0: no span.
using entry = std::atomic<std::uint64_t>;
using leaf = entry;  // the first of 1 << leaf_bits
inline constexpr unsigned class_bit = 56;
inline constexpr unsigned granule_bits = std::countr_zero(granule);
static_assert((size_class_count + 1) * bin_stride < page / granule);

// 512 KiB of zeroes that are not resident until a leaf is entered.
extern constinit std::atomic<leaf*> root[std::size_t{1} << root_bits];

// A page's address, and in the bits below the place of its class's hot bin times 16; 0: no page. Half a MiB of zeroes,
// of which a page is resident for each 32 MiB of spans.
inline constexpr std::size_t digest_lines = std::size_t{1} << 16;
extern constinit entry digest[digest_lines];

// The entry for `p`, which may be anything; 0 where there is none. Two dependent loads.
inline std::uint64_t look_up(const void* p) noexcept {
    const auto number = reinterpret_cast<std::uintptr_t>(p) >> page_bits;
    const std::uintptr_t branch = number >> leaf_bits;
    if (branch >= std::size(root)) return 0;
    const leaf* there = root[branch].load(std::memory_order_acquire);  // partner: reach() in page_map.cpp
    // Acquire: partner of set(): what the span says of itself. A block's span was set before the block was given out,
    // so a live block always finds its own.
    return there ? there[number & ((std::uintptr_t{1} << leaf_bits) - 1)].load(std::memory_order_acquire) : 0;
}

// The span at `p`, which may be anything, or null.
inline span* find(const void* p) noexcept {
    return reinterpret_cast<span*>(look_up(p) & ((std::uint64_t{1} << class_bit) - 1));
}

// The bits in which the line differs from `bits`. Relaxed: nothing is read through it, and a live block's
// page was entered before the block was given out. In one instruction, where compilers make two of an atomic load.
inline std::uint64_t differing(const entry& line, std::uint64_t bits) noexcept {
#if defined(__x86_64__)
    asm("xorq %1, %0" : "+r"(bits) : "m"(line) : "cc");
    return bits;
#else
    return line.load(std::memory_order_relaxed) ^ bits;
#endif
}

// The place of the hot bin for the block at `p` (size_classes.hpp), or less than that of the first class: null, where
// there is no span, and where p is no multiple of 16, at which no block begins. One load as a rule.
inline std::size_t bin_offset_at(const void* p) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    constexpr std::uint64_t in_page = page - granule;  // the bits of a block's address that tell it from its neighbours
    // Small where the line names this page. The last four bits of the address end up at the top.
    const entry& line = digest[address >> page_bits & (digest_lines - 1)];
    const std::uint64_t at = std::rotr(differing(line, address & ~in_page), granule_bits);
    if (at < page / granule) [[likely]]
        return at;
    return address % granule == 0 ? (look_up(p) >> class_bit) * bin_stride : 0;
}

// The size class of the block at `p`, plus one; 0 where there is no span.
inline std::size_t class_after(const void* p) noexcept { return bin_offset_at(p) / bin_stride; }

// Enters `s` for [base, base + bytes); false when there is no memory for a leaf or the address lies beyond 48 bits.
// Nobody else may set an overlapping range.
bool set(const void* base, std::size_t bytes, span* s, std::uint32_t size_class) noexcept;

// Takes a range out again.
void clear(const void* base, std::size_t bytes) noexcept;

// Ends the program where a line of the digest names another class than the map does. Any thread. A look at each line.
void check() noexcept;

}  // namespace page_map

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

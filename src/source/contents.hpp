// What a hardened malloc writes into memory that nobody may write to: into idle blocks, and into the room behind what
// the program asked for. Two bytes, chosen at random for each process, of which neither is zero or a letter.
//
// Any thread, on memory that is its own at the moment.
#pragma once

#include <cstddef>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace contents {

// How much of an idle block is filled and looked at: of a larger one its two ends, since all of it would cost as much
// as using it, and what lies behind `asked` bytes with the last of those. Now and then, as the address says, all of it.
inline constexpr std::size_t whole_max = 512, front = 128, back = 64;
inline constexpr std::size_t no_change = static_cast<std::size_t>(-1);

// An idle block of which the program had asked for so many bytes.
void fill_idle(void* block, std::size_t bytes, std::size_t asked) noexcept;
// The offset of a byte that was changed since, or no_change.
std::size_t changed_idle(const void* block, std::size_t bytes, std::size_t asked) noexcept;

// Room of the block's that the program did not ask for.
void fill_spare(void* room, std::size_t bytes) noexcept;
std::size_t changed_spare(const void* room, std::size_t bytes) noexcept;

}  // namespace contents
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

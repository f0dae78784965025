// What a hardened shim watches of the pool's blocks beyond the engine: how many bytes the program asked for. The room
// behind them is filled, and there is some behind every block, unless an alignment leaves none. Nothing in other
// builds.
//
// Any thread, in a slow section or not, without a lock.
#pragma once

#include <cstddef>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace watched {

// What a request takes: with a byte at least that is not the program's.
constexpr std::size_t with_room(std::size_t bytes) noexcept {
    return detail::hardened && bytes <= detail::pooled_bytes_max ? bytes + 1 : bytes;
}

// Whether a block of the class leaves no room behind so many bytes, and it is this one's turn to lie between pages that
// may not be touched instead.
bool wants_guards(std::size_t size_class, std::size_t bytes) noexcept;

// p, which may be null or not the pool's, is from now on a block of so many bytes.
void* sized(void* p, std::size_t bytes) noexcept;

// How many bytes the program may use of the pool's block at p; `size_class` is its. Ends the program where the block is
// not the program's. `what` the program does with it, for the message.
std::size_t size_of(const void* p, std::size_t size_class, const char* what) noexcept;

// Ends the program where it says another size than it asked for. Of no pointer of the pool's, nothing is said.
void check_size(const void* p, std::size_t bytes) noexcept;

// Ends the program where a block that is about to be set aside, and so written to, is not the program's or was written
// behind.
void check_aside(void* p) noexcept;

}  // namespace watched
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

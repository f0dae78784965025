// What a hardened shim watches of the pool's blocks (source/block_watch.hpp). There is room behind every block that the
// program did not ask for, unless an alignment leaves none. Nothing in other builds.
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
// Whether so many bytes leave no room in a block of the class.
constexpr bool lacks_room(std::size_t size_class, std::size_t bytes) noexcept {
    return detail::hardened && bytes >= detail::size_class_bytes(static_cast<std::uint32_t>(size_class));
}
// Of those, one in many lies between pages that may not be touched. Whether it is this one's turn.
bool wants_guards() noexcept;

// The program is given p, which may be null or not the pool's, as a block of so many bytes. Returns p.
void* taken(void* p, std::size_t bytes) noexcept;
// It stays where it is.
void* resized(void* p, std::size_t bytes) noexcept;

// The program frees p, which may be anything. Returns the place of its class's hot bin, or 0 where it is not the
// pool's.
std::size_t given(void* p) noexcept;
// It can only be set aside, and is written to until it is deallocated.
void set_aside(void* p) noexcept;
void deallocated_aside(void* p) noexcept;

// How many bytes the program may use of the pool's block at p; `size_class` is its. `what` it does with it, for the
// message.
std::size_t size_of(const void* p, std::size_t size_class, const char* what) noexcept;

// Ends the program where it says another size than it asked for. Of no pointer of the pool's, nothing is said.
void check_size(const void* p, std::size_t bytes) noexcept;

}  // namespace watched
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

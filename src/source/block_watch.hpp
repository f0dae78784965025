// What a hardened shim does with a block of its pool when the program takes it and when it frees it: the block's line
// tells where it is, what it is filled with whether anybody wrote there. Each ends the program where something is
// wrong.
//
// Any thread, in a signal handler, too: without a lock.
#pragma once

#include <cstddef>

#include "source/spans.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace block_watch {

// The program takes the block, of which it may use so many bytes.
void take(const spans::location& at, std::size_t asked) noexcept;
// From now on it may use so many.
void resize(const spans::location& at, std::size_t asked) noexcept;
// The program frees the block at p, which lies there; it is idle afterwards.
void give(const void* p, const spans::location& at) noexcept;
// Somebody writes into an idle block until close(), which fills it again.
void open(const spans::location& at) noexcept;
void close(const spans::location& at) noexcept;

// How many bytes the program may use of a block that it has. `what` it does with it, for the message.
std::size_t asked(const spans::location& at, const char* what) noexcept;
// Before give(): the program says how many bytes it asked for.
void check_size(const spans::location& at, std::size_t said) noexcept;

// An idle block.
void check_idle(const void* block) noexcept;

}  // namespace block_watch
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

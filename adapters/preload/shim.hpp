// The one pool of a process whose malloc is Tidepool, and all that a private hit does not do.
//
// Who calls it: malloc.cpp and new.cpp, from any thread, at any time: inside the dynamic loader, before any
// constructor, after any destructor, in a thread that has released its slot, in a signal handler.
//
// Invariants:
//  1. While a thread is in a slow section (base/slow_section.hpp), all that the same thread allocates comes from libc's
//     malloc, and blocks of the pool that it frees are set aside. So a slow section is never entered twice.
//  2. A slow section takes no lock of libc's malloc: spans come from elsewhere, and an other malloc in libc's place is
//     called in slow sections only. So a signal handler that interrupts one does not find libc's malloc locked.
//  3. A block is the pool's exactly if the page map says so. All others are the backing's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "settings.hpp"
#include "source/page_map.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/stats.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

// The pool's place in the table of pin slots.
inline constexpr std::uint32_t shim_index = detail::default_index;

// As the environment was at the first allocation.
extern settings current;

// What a private hit could not serve. Null, with ENOMEM, if there is no memory.
void* allocate_slow(std::size_t size_class) noexcept;
void deallocate_slow(void* block, std::size_t size_class) noexcept;

// Requests that no size class serves. As the C functions.
void* allocate_large(std::size_t bytes) noexcept;
void* allocate_large_zeroed(std::size_t bytes) noexcept;
void* allocate_large_aligned(std::size_t alignment, std::size_t bytes) noexcept;

// A pointer that is not the pool's; may be null. errno is left as it was.
void deallocate_other(void* p) noexcept;

// Returns all idle memory of all threads except `keep` bytes. Whether there was any.
bool trim(std::size_t keep) noexcept;

tidepool::stats snapshot() noexcept;

// Performs the ticks that are due, to the end. For a thread that has nothing else to do.
void tick_at_leisure() noexcept;

// At the place of a size class's hot bin.
inline void* allocate_at(std::size_t bin_offset) noexcept {
    return detail::take_or(shim_index, bin_offset, [=] { return allocate_slow(detail::size_class_at(bin_offset)); });
}

inline void* allocate(std::size_t size_class) noexcept { return allocate_at(detail::bin_offset_of(size_class)); }

inline void deallocate(void* block, std::size_t size_class) noexcept {
    detail::give_or(shim_index, detail::bin_offset_of(size_class), block, [=] { deallocate_slow(block, size_class); });
}

// By the page map: one load as a rule. What is in no span of the pool's, null among it, has the place that is no
// class's, and so is a miss, too.
inline void deallocate(void* p) noexcept {
    const std::size_t at = detail::page_map::bin_offset_at(p);
    detail::give_or(shim_index, at, p, [=] {
        at < detail::bin_stride ? deallocate_other(p) : deallocate_slow(p, detail::size_class_at(at));
    });
}

inline std::size_t class_bytes(std::size_t size_class) noexcept {
    return detail::size_class_bytes(static_cast<std::uint32_t>(size_class));
}

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

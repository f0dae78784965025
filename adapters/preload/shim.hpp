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
#include "watched.hpp"

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

// No program has as many addresses, so nothing is trimmed for a request above it.
#ifdef __x86_64__
inline constexpr std::size_t bytes_max = std::size_t{1} << 47;
#else
inline constexpr std::size_t bytes_max = std::size_t{1} << 48;
#endif

// What a private hit could not serve: malloc(), and aligned_alloc() with a power of two. Null, with ENOMEM, if there is
// no memory.
void* allocate_missed(std::size_t bytes) noexcept;
void* allocate_aligned_missed(std::size_t alignment, std::size_t bytes) noexcept;
void deallocate_missed(void* block, std::size_t size_class) noexcept;

// calloc() of a size that no class serves.
void* allocate_large_zeroed(std::size_t bytes) noexcept;

// A pointer that is not the pool's, and not null. errno is left as it was. Ends the program where no block can begin
// there.
void deallocate_other(void* p) noexcept;

// The size class of the pool's block that begins at p, plus one; 0 where p is not the pool's. Ends the program where p
// lies inside a block or between blocks. `what` the program does with it, for the message.
std::size_t class_after(const void* p, const char* what) noexcept;

void check_said_size(void* p, std::size_t bytes) noexcept;
// In a hardened build, before p is freed by a form that says its size: ends the program where that is another.
inline void check_size([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(TIDEPOOL_HARDENED)
    check_said_size(p, bytes);
#endif
}

// Returns all idle memory of all threads except `keep` bytes. Whether there was any.
bool trim(std::size_t keep) noexcept;

tidepool::stats snapshot() noexcept;

// Performs the ticks that are due, to the end. For a thread that has nothing else to do.
void tick_at_leisure() noexcept;

// A hardened build looks at what a hit gives; what miss() returns has been looked at.
template <class Miss>
[[gnu::always_inline]] inline void* take_or(std::size_t bin_offset, std::size_t bytes, Miss miss) {
    if constexpr (!detail::hardened) return detail::take_or(shim_index, bin_offset, miss);
    bool hit = true;
    void* p = detail::take_or(shim_index, bin_offset, [&] {
        hit = false;
        return miss();
    });
    return hit ? watched::taken(p, bytes) : p;
}

// The private hit of every function that allocates, or what miss() returns. Inlined into each, so that none is entered
// through another's public name, which may be another library's.
template <class Miss>
[[gnu::always_inline]] inline void* allocate_or(std::size_t bytes, Miss miss) {
    const std::size_t room = watched::with_room(bytes);
    if (room > detail::pooled_bytes_max) [[unlikely]]
        return miss();
    return take_or(detail::bin_offset_looked_up(room), bytes, miss);
}

// `alignment` a power of two.
template <class Miss>
[[gnu::always_inline]] inline void* allocate_aligned_or(std::size_t alignment, std::size_t bytes, Miss miss) {
    const std::uint32_t size_class = detail::size_class_of(bytes, alignment);
    if (size_class == detail::no_size_class || watched::lacks_room(size_class, bytes)) [[unlikely]]
        return miss();
    return take_or(detail::bin_offset_of(size_class), bytes, miss);
}

[[gnu::always_inline]] inline void* allocate(std::size_t bytes) noexcept {
    return allocate_or(bytes, [=] { return allocate_missed(bytes); });
}

[[gnu::always_inline]] inline void* allocate_aligned(std::size_t alignment, std::size_t bytes) noexcept {
    return allocate_aligned_or(alignment, bytes, [=] { return allocate_aligned_missed(alignment, bytes); });
}

// By the page map: one load as a rule. What is in no span of the pool's, null among it, has the place that is no
// class's, and so is a miss, too.
[[gnu::always_inline]] inline void deallocate(void* p) noexcept {
    const std::size_t at = detail::hardened ? watched::given(p) : detail::page_map::bin_offset_at(p);
    // In a hardened build it rests (src/cache/quarantine.cpp).
    const std::size_t to = detail::hardened && at != 0 ? at + detail::hot_bins_taken_from * detail::bin_stride : at;
    detail::give_or(shim_index, to, p, [=] {
        if (at >= detail::bin_stride) return deallocate_missed(p, detail::size_class_at(at));
        if (p) deallocate_other(p);
    });
}

inline std::size_t class_bytes(std::size_t size_class) noexcept {
    return detail::size_class_bytes(static_cast<std::uint32_t>(size_class));
}

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// jemalloc's arenas: each has memory of its own, which is purged, reset and destroyed as one. Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "base/made_once.hpp"
#include "mallctl.hpp"
#include "names.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace jemalloc {

// False if jemalloc has no more.
inline bool make_arena(unsigned& arena) noexcept {
    std::size_t bytes = sizeof arena;
    return tidepool_je_mallctl("arenas.create", &arena, &bytes, nullptr, 0) == 0;
}

// All idle memory goes to the operating system.
inline void purge_arena(unsigned arena) noexcept {
    const mallctl_path& purge = made_once<[] { return mallctl_path("arena.0.purge"); }>();
    purge.call_for(arena);
}

// Idle memory of all arenas goes to the operating system, as far as jemalloc's decay times say.
inline void decay_arenas() noexcept {
    const mallctl_path& decay = made_once<[] { return mallctl_path("arena.0.decay"); }>();
    decay.call_for(tidepool_je::all_arenas);
}

// In milliseconds, -1 for never.
inline void set_decay(unsigned arena, ssize_t dirty, ssize_t muzzy) noexcept {
    mallctl_path("arena.0.dirty_decay_ms").call_for(arena, &dirty, sizeof dirty);
    mallctl_path("arena.0.muzzy_decay_ms").call_for(arena, &muzzy, sizeof muzzy);
}

// Frees all blocks, those in use, too.
inline void reset_arena(unsigned arena) noexcept { mallctl_path("arena.0.reset").call_for(arena); }
inline void destroy_arena(unsigned arena) noexcept { mallctl_path("arena.0.destroy").call_for(arena); }

// Where jemalloc_upstream() has its large blocks and regions: a purge of it returns what all users of that have freed,
// and nothing that the program keeps for itself. They are too large for jemalloc's thread caches as these are by
// default.
struct large_arena {
    static constexpr std::size_t bytes_least = std::size_t{64} << 10;  // of a block; a span's size

    unsigned index = 0;
    bool exists;
    int allocation_flags, deallocation_flags;  // 0 where it does not exist

    large_arena() noexcept
        : exists(make_arena(index)),
          allocation_flags(exists ? tidepool_je::in_arena(index) | tidepool_je::uncached : 0),
          deallocation_flags(exists ? tidepool_je::uncached : 0) {}  // jemalloc finds the arena by the block

    static const large_arena& get() noexcept {
        return made_once<[] { return large_arena(); }>();
    }
};

}  // namespace jemalloc
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Blocks of jemalloc's, by the shortest way that it has for each. Any thread.
#pragma once

#include <cstddef>

#include "adapters/base/errno_kept.hpp"
#include "adapters/base/natural_alignment.hpp"
#include "base/made_once.hpp"
#include "heartbeat.hpp"
#include "mallctl.hpp"
#include "names.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace jemalloc {

// From this many blocks on, which is about 8 to 16, a batch is faster than single calls.
inline constexpr std::size_t batch_least = 16;

inline int alignment_flag(std::size_t alignment) noexcept {
    return alignment > natural_alignment ? tidepool_je::aligned(alignment) : 0;
}

// The flags are besides those of the alignment. Null if there is no memory. malloc has a fast path in jemalloc, mallocx
// has none.
inline void* allocate_block(std::size_t bytes, std::size_t alignment, int flags) noexcept {
    listen();
    const errno_kept as_it_was;
    bytes = naturally_aligned_bytes(bytes, alignment);
    flags |= alignment_flag(alignment);
    return flags == 0 ? tidepool_je_malloc(bytes) : tidepool_je_mallocx(bytes, flags);
}

inline void deallocate_block(void* p, std::size_t bytes, std::size_t alignment, int flags) noexcept {
    tidepool_je_sdallocx(p, naturally_aligned_bytes(bytes, alignment), flags | alignment_flag(alignment));
}

// As upstream::allocate_batch().
inline std::size_t allocate_blocks(std::size_t bytes, std::size_t alignment, int flags, void** out,
                                   std::size_t count) noexcept {
    struct {
        void** out;
        std::size_t count, bytes;
        int flags;
    } request{out, count, naturally_aligned_bytes(bytes, alignment), flags | alignment_flag(alignment)};
    std::size_t got = 0, got_bytes = sizeof got;
    if (count >= batch_least) {
        listen();
        const mallctl_path& batch = made_once<[] { return mallctl_path("experimental.batch_alloc"); }>();
        const errno_kept as_it_was;
        if (!batch.call(&got, &got_bytes, &request, sizeof request)) got = 0;
    }
    while (got < count && (out[got] = allocate_block(bytes, alignment, flags))) ++got;
    return got;
}

}  // namespace jemalloc
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

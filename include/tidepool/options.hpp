// What a user may set about a pool, and what is done with it.
#pragma once

#include <chrono>
#include <cstddef>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Where a pool's blocks come from.
enum class block_source {
    spans,   // carved from aligned spans of 64 KiB and more; release() gives every block back at once
    direct,  // each block an upstream allocation of its own, so that the upstream's tools see each block
};

// Options of a pool. Zero stands for the default where it is given as 0. The first two carry the meaning that
// std::pmr::pool_options gives them and are hints, as there: a value outside the allowed range is clamped into it. The
// others are met or refused: std::invalid_argument names the option, the value and what is allowed. A pool's options()
// shows the values in effect.
struct pool_options {
    // Most blocks asked of the upstream at once for one size class: the capacity of a magazine.
    // 1 to 256; 0 means 256.
    std::size_t max_blocks_per_chunk = 0;

    // Largest request, in bytes, that is served from blocks; larger ones go straight to the upstream.
    // 16 to 32768, rounded up to a size class; 0 means 32768.
    std::size_t largest_required_pool_block = 0;

    // Most bytes of blocks in one magazine; a magazine holds one block at least. A thread keeps at most two
    // magazines a size class to itself, and at most about 4 MiB in all of them. 1 to 16 MiB.
    std::size_t magazine_bytes_max = 128 * 1024;

    // Most bytes of idle blocks in one thread's part beyond its own magazines; what comes on top goes down at once. Of
    // blocks under 64 bytes a quarter to a half of that. 0 to SIZE_MAX.
    std::size_t local_bytes_max = 4 * 1024 * 1024;

    // Age of a tick. Stock that nobody took for two ticks goes back to the upstream.
    // 0 to one day; 0 means: only when tick() is called.
    std::chrono::milliseconds decay_interval{1000};

    block_source source = block_source::spans;
};

// Options of an object pool.
struct object_pool_options {
    // Objects a thread keeps in one magazine; it has two. 1 is Go's sync.Pool. 1 to 256.
    std::size_t magazine_capacity = 1;

    // Most idle objects in one thread's part beyond its own magazines; what comes on top is destroyed at once.
    // 0 to SIZE_MAX.
    std::size_t local_objects_max = static_cast<std::size_t>(-1);

    // As in pool_options.
    std::chrono::milliseconds decay_interval{1000};
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Options of pools.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory_resource>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Where a pool's blocks come from.
enum class block_source {
    spans,   // carved from aligned spans of 64 KiB and more; release() returns every block at once
    direct,  // each block is one upstream allocation, so that the upstream's tools see each block
};

// Options of a pool. The first two have the meaning of std::pmr::pool_options and are hints: zero stands for the
// default, and a value out of range is clamped. Any other option out of range makes the constructor throw
// std::invalid_argument, whose message has the option, the value and the allowed range. A pool's options() returns the
// values in effect.
struct pool_options {
    // The most blocks requested from the upstream at once for one size class: the capacity of a magazine.
    // 1 to 256; 0 means 256.
    std::size_t max_blocks_per_chunk = 0;

    // The largest request, in bytes, that is served from blocks; larger ones go directly to the upstream.
    // 16 to 32768, rounded up to a size class; 0 means 32768.
    std::size_t largest_required_pool_block = 0;

    // The most bytes of blocks in one magazine, which holds at least one block. A thread keeps at most two private
    // magazines a size class, and at most about 4 MiB in all of them. 1 to 16 MiB.
    std::size_t magazine_bytes_max = std::size_t{128} << 10;

    // The most bytes of idle blocks in one thread's local beyond its private magazines. What is beyond that, too, is
    // kept as depot_bytes_max allows, and spilled to the source otherwise. 0 to SIZE_MAX.
    std::size_t local_bytes_max = std::size_t{4} << 20;

    // The most bytes of idle blocks that all locals together hold beyond local_bytes_max each; or a sixteenth of what
    // the pool has in use and cached, where that is more. Such blocks stay with the thread that freed them, and age
    // like all others. When memory would grow they are the first to go back to the source, of another thread's only
    // what is spare. 0 to SIZE_MAX; 0: none.
    std::size_t depot_bytes_max = std::size_t{16} << 20;

    // The time between two ticks. Stock that was not used for two ticks is returned to the upstream.
    // 0 to one day; 0 means that the pool ages only by tick().
    std::chrono::milliseconds decay_interval{1000};

    block_source source = block_source::spans;

    // The options of the standard among them.
    constexpr operator std::pmr::pool_options() const noexcept {
        std::pmr::pool_options standard;
        standard.max_blocks_per_chunk = max_blocks_per_chunk;
        standard.largest_required_pool_block = largest_required_pool_block;
        return standard;
    }
    friend bool operator==(const pool_options&, const pool_options&) = default;
};

// Options of an object pool.
struct object_pool_options {
    // The number of objects in one magazine; a thread has two private magazines, whose objects are no other's until a
    // tick. 1 is as in Go's sync.Pool: for few and expensive objects. 0: as many as fit 64 KiB, 64 at most, 1 at least.
    // 0 to 256.
    std::size_t magazine_capacity = 0;

    // The most idle objects in one thread's local beyond its private magazines; objects beyond that are destroyed at
    // once. 0 to SIZE_MAX.
    std::size_t local_objects_max = static_cast<std::size_t>(-1);

    // The same as in pool_options.
    std::chrono::milliseconds decay_interval{1000};

    friend bool operator==(const object_pool_options&, const object_pool_options&) = default;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

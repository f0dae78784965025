// Where the engine's blocks come from and go to: spans, direct, or an object pool's objects.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/block_sizes.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// How much a refill may take from the upstream: as much as the pool has had before, or more.
enum class growth { to_peak, beyond_peak };

// All members are thread-safe except set_up() and release_all(), which need exclusive access. No caller holds a lock,
// but for set_up().
class source {
public:
    // Called once, before anything else; asks the upstream for nothing. False when there is no memory: then again.
    virtual bool set_up() noexcept { return true; }
    // Fills blocks[0 .. result) with blocks of the class; result < count when memory ran out, or would have to grow
    // further than it ever did and may not; 0 where blocks are not made here (objects).
    virtual std::size_t refill(std::uint32_t size_class, void** blocks, std::size_t count, growth most) noexcept = 0;
    // Takes blocks of the class back; in any order, unused by anyone. Asks for no memory. `stale`: they have decayed,
    // or memory is wanted elsewhere, so what they fill up is not kept for the next who asks.
    virtual void drain(std::uint32_t size_class, void** blocks, std::size_t count, bool stale) noexcept = 0;

    // What is kept idle here: its bytes; a tick, which marks what has been idle for a whole one; how many pieces are so
    // marked; the return of up to `most` of them, in bytes; the return of all but `keep_bytes`, in bytes.
    virtual std::size_t idle_bytes() const noexcept { return 0; }
    virtual void age() noexcept {}
    virtual std::size_t expired() const noexcept { return 0; }
    virtual std::size_t return_expired([[maybe_unused]] std::size_t most) noexcept { return 0; }
    virtual std::size_t shrink([[maybe_unused]] std::size_t keep_bytes) noexcept { return 0; }

    // Whether refill() can ever have a block. Fixed.
    virtual bool makes_blocks() const noexcept { return true; }
    // Whether drain() runs no code of the program's but the upstream's, so that it may come in the midst of anybody's
    // allocation where the upstream may. Fixed.
    virtual bool heartbeat_safe() const noexcept { return true; }

    // Releases everything, blocks in use too, and returns true; or does nothing and returns false.
    virtual bool release_all() noexcept { return false; }
    // Aborts with a message where an invariant does not hold. Takes the locks, one at a time.
    virtual void check() noexcept {}
    // Around a fork, by the forking thread: takes every lock, and releases it.
    virtual void before_fork() noexcept {}
    virtual void after_fork() noexcept {}

protected:
    ~source() = default;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

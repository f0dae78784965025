// The engine: where the mechanisms meet. One pool serves blocks of several size classes from one source.
//
// Who calls it: the faces, through include/tidepool/detail/fast_path.hpp and engine.hpp, and the registry. All members
// are thread-safe except release() and the destructor, which need exclusive access.
//
// Invariants:
//  1. A block is at any moment with the program, in exactly one magazine, or free with the source. The equation that
//  follows
//     from it stands in src/pool/supply.hpp.
//  2. No lock and no pin is held across a call to the source: a source may take its time, call back, or end threads.
//  3. Until the first use by any thread a pool has mapped nothing and asked its source for nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/counters.hpp"
#include "cache/depot.hpp"
#include "cache/pin.hpp"
#include "clock/registry.hpp"
#include "clock/tick_deadline.hpp"
#include "pool/plan.hpp"
#include "pool/roster.hpp"
#include "pool/rotation.hpp"
#include "pool/supply.hpp"
#include "pool/upkeep.hpp"
#include "source/large_blocks.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/stats.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class pool final : public registrant {
public:
    pool(const pool_plan& plan, const tidepool::upstream& from) noexcept;
    ~pool();

    // As allocate_slow() and deallocate_slow() (fast_path.hpp).
    void* allocate(std::uint32_t size_class) noexcept;
    void deallocate(void* block, std::uint32_t size_class) noexcept;
    void* allocate_large(std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate_large(void* p, std::size_t bytes, std::size_t alignment) noexcept;

    // Idle memory goes back until at most keep_bytes are left; `then_purge`: out of the process, as far as the upstream
    // can. Returns the bytes that went.
    std::size_t trim(std::size_t keep_bytes, bool then_purge = false) noexcept;
    void release() noexcept;
    tidepool::stats snapshot() noexcept;
    // Ends the program where an invariant does not hold that can be looked at while others go on; with `still`, which
    // says that no other thread is inside, the equations, too.
    enum class others { go_on, still };
    void check(others others_do) noexcept;

    // ---- what the registry calls (src/clock/registry.hpp)

    void tick_now() noexcept override;
    bool tick_if_due(std::chrono::nanoseconds now) noexcept override;
    std::chrono::nanoseconds due() const noexcept override;
    bool heartbeat_safe() const noexcept override;
    void reclaim(const void* allocator, reclaim_depth how) noexcept override;
    void thread_exits(thread_slot& slot) noexcept override;
    void before_fork() noexcept override;
    void after_fork_in_parent() noexcept override;
    void after_fork_in_child() noexcept override;

private:
    // For objects that are made and end outside the engine.
    friend void note_created(pool& engine, void* object) noexcept;
    friend void note_destroyed(pool& engine, void* object) noexcept;

    bool set_up() noexcept;
    pin enter() noexcept;
    void* refill(magazine* m, std::uint32_t wanted) noexcept;
    void spill(magazine* full, void* block) noexcept;
    void age(std::chrono::nanoseconds now) noexcept;
    void unlock_mechanisms() noexcept;

    const pool_plan plan_;
    depots shared_;
    supply supply_;
    large_blocks large_;
    roster roster_;
    upkeep upkeep_;
    tick_deadline deadline_;
    rotation rotation_;
    peak cached_bytes_peak_;

public:
    const std::uint32_t class_count;
    // The pool's place in the threads' tables. Last, because the registry wants the pool whole.
    const std::uint32_t index;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

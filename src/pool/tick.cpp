// Decay: what a tick does, and when.
#include <algorithm>

#include "base/clock.hpp"
#include "pool/pool.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// A whole tick, but for handing down, which what is left of the tick before comes ahead of.
void pool::age(std::chrono::nanoseconds now) noexcept {
    upkeep_.hand_down_all();
    upkeep_.finish_if_done();
    supply_.blocks.age();
    std::uint64_t cached = rotation_.tick();
    for (std::uint32_t c = 0; c < class_count; ++c) cached += shared_.leaving.blocks_of(c) * shared_.sizes[c];
    cached_bytes_peak_.note(cached);
    if constexpr (checked) check(others::go_on);
    upkeep_.begin_tick(now);
}

void pool::tick_now() noexcept {
    if (!shared_.ready()) return;
    age(coarse_now());
    rotation_.again_until_done();
    upkeep_.hand_down_all();
    upkeep_.wait_for_others();
    upkeep_.finish_if_done();
}

// By a thread that came for a block, of this pool or of another one, or by a heartbeat: it hands down a share, and
// later looks at the clock the rest, and visit again those who were passed over. What they leave is handed down before
// the next tick begins, so nothing is older than two ticks. Of several threads that come at once, one performs it.
bool pool::tick_if_due(std::chrono::nanoseconds now) noexcept {
    const bool mine = deadline_.claim(now);
    if (!shared_.ready()) return false;
    if (mine)
        age(now);
    else if (rotation_.again_if_due(now))
        upkeep_.resume_tick();
    if (!upkeep_.unfinished()) return false;
    upkeep_.hand_down_share(now);
    upkeep_.finish_if_done();
    return true;
}

// What a tick has left makes the pool due at once.
std::chrono::nanoseconds pool::due() const noexcept {
    return upkeep_.unfinished() ? std::chrono::nanoseconds::min() : std::min(rotation_.due(), deadline_.due());
}

// Objects end by the program's own code, which cannot be run in the midst of anybody's allocation.
bool pool::heartbeat_safe() const noexcept { return supply_.makes_blocks && supply_.upstream.heartbeat_safe(); }

// The purge is left to the next tick: memory that is wanted at once need not leave the process.
void pool::reclaim(const void* allocator, reclaim_depth how) noexcept {
    if (!supply_.upstream.draws_from(allocator) || !shared_.ready()) return;
    if (how == reclaim_depth::trim) {
        trim(0);
        return;
    }
    age(coarse_now());
    upkeep_.hand_down_all();
    upkeep_.drop_tick();
}

// Under the registry's lock.
void pool::thread_exits(thread_slot& slot) noexcept { roster_.thread_exits(slot.index); }

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Decay: what a tick does, and when.
#include <algorithm>

#include "base/lock_guard.hpp"
#include "pool/pool.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

// How often the program's own tick visits those again who were passed over: for 0.2 s at least, which is longer than
// a loaded machine keeps a thread from running.
constexpr unsigned visits_by_hand = 64;

}  // namespace

// Those who have rotated by themselves meanwhile need no visit. Needs `visiting`.
void pool::rotate_behind(std::uint64_t now, roster::patience how_long) noexcept {
    const std::uint32_t passed_over = roster_.visit([&](const local& each) { return each.epoch() != now; }, how_long,
                                                    [&](pin& theirs) { theirs.catch_up(now); });
    passed_over_.store(passed_over != 0, std::memory_order_relaxed);
}

// What a tick could not do, because the owner was inside and did not run. Such an owner may go on with nothing but hits
// and never rotate by itself, and its stock would outlive the second tick until the third.
void pool::rotate_passed_over(roster::patience how_long) noexcept {
    const lock_guard hold(roster_.visiting);
    rotate_behind(ticks_.load(std::memory_order_relaxed), how_long);
    upkeep_.begin_tick();
}

// A whole tick, but for handing down, which what is left of the tick before comes ahead of.
void pool::age() noexcept {
    upkeep_.hand_down_all();
    upkeep_.finish_if_done();
    supply_.blocks.age();
    std::uint64_t cached = 0;
    {
        const lock_guard hold(roster_.visiting);
        const std::uint64_t now = ticks_.load(std::memory_order_relaxed) + 1;
        ticks_.store(now, std::memory_order_relaxed);
        rotate_behind(now, roster::with_naps);
        roster_.for_each([&](local& each) {
            // Owners that are not kept out rotate by themselves. Chains of one that has not done so for two ticks hold
            // nothing younger than that: it would have rotated before it put anything there.
            if (now - each.epoch() >= 2) roster_.drain(each);
            cached += each.bytes_chained();
        });
    }
    for (std::uint32_t c = 0; c < class_count; ++c) cached += shared_.leaving.blocks_of(c) * shared_.sizes[c];
    cached_bytes_peak_.note(cached);
    if constexpr (checked) check(others::go_on);
    upkeep_.begin_tick();
}

void pool::tick_now() noexcept {
    if (!shared_.ready()) return;
    age();
    // In between it is unlocked and keeps nobody out, so that exits and owners get their turn.
    for (unsigned visit = 0; passed_over_.load(std::memory_order_relaxed) && visit < visits_by_hand; ++visit) {
        wait_long(roster::brief);
        rotate_passed_over(roster::with_naps);
    }
    upkeep_.hand_down_all();
    upkeep_.wait_for_others();
    upkeep_.finish_if_done();
}

// By a thread that came for a block, of this pool or of another one, or by a heartbeat: it hands down a slice, and
// later looks at the clock the rest, and visit again those who were passed over. What they leave is handed down before
// the next tick begins, so nothing is older than two ticks. Of several threads that come at once, one performs it.
bool pool::tick_if_due(std::chrono::nanoseconds now) noexcept {
    const bool mine = deadline_.claim(now);
    if (!shared_.ready()) return false;
    const bool again = !mine && passed_over_.load(std::memory_order_relaxed) && again_.claim(now);
    if (!mine && !again && !upkeep_.unfinished()) return false;
    if (mine) age();
    if (again) rotate_passed_over(roster::brief);
    upkeep_.hand_down_slice();
    upkeep_.finish_if_done();
    return true;
}

// What a tick has left makes the pool due at once.
std::chrono::nanoseconds pool::due() const noexcept {
    if (upkeep_.unfinished()) return std::chrono::nanoseconds::min();
    const bool again = passed_over_.load(std::memory_order_relaxed);
    return again ? std::min(again_.due(), deadline_.due()) : deadline_.due();
}

// Objects end by the program's own code, which cannot be run in the midst of anybody's allocation.
bool pool::heartbeat_safe() const noexcept {
    return supply_.blocks.makes_blocks() && supply_.upstream.heartbeat_safe();
}

// The purge is left to the next tick: memory that is wanted at once need not leave the process.
void pool::reclaim(const void* allocator, reclaim_depth how) noexcept {
    if (!supply_.upstream.draws_from(allocator) || !shared_.ready()) return;
    if (how == reclaim_depth::trim) {
        trim(0);
        return;
    }
    age();
    upkeep_.hand_down_all();
    upkeep_.drop_tick();
}

// Under the registry's lock.
void pool::thread_exits(thread_slot& slot) noexcept { roster_.thread_exits(slot.index); }

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

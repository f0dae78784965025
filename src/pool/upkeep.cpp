#include "pool/upkeep.hpp"

#include "base/clock.hpp"
#include "base/forks.hpp"
#include "base/lock_guard.hpp"
#include "base/waiting.hpp"
#include "clock/heartbeat.hpp"
#include "clock/registry.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::uint32_t exchanges_per_look = 16;  // of magazines by a thread, between two looks at the clock
constexpr std::size_t slice_blocks = 256;         // an exchange hands down this many blocks at least,
constexpr std::size_t slice_spans = 2;            // ... and this many idle spans
constexpr unsigned others_wait_rounds = 4096;     // how long a tick waits for other threads: 0.2 s

}  // namespace

// The calling thread has something in hand that waits in no list any more. Joins before it takes anything. Marked as an
// upstream's call also where objects end, and a heartbeat meanwhile is looked at after it.
class upkeep::in_hand {
public:
    explicit in_hand(upkeep& its) noexcept
        : process_(fork_count()),
          group_(its.under_way_[its.joined_.load(std::memory_order_relaxed)]) {  // relaxed: either group will do
        group_.fetch_add(1, std::memory_order_relaxed);  // ordered by the lock of the list that is taken from
    }
    // Release: partner of wait_for_others(). In a child that was forked from inside, it is not counted any more.
    ~in_hand() {
        if (process_ == fork_count()) group_.fetch_sub(1, std::memory_order_release);
    }
    in_hand(const in_hand&) = delete;
    in_hand& operator=(const in_hand&) = delete;

private:
    const std::uint32_t process_;
    std::atomic<std::uint32_t>& group_;
    const upstream_call called_;
};

void upkeep::after_exchange(std::uint32_t exchanges, bool look) noexcept {
    hand_down_slice();
    if (look || exchanges % exchanges_per_look == 0 || registry::tick_unfinished() || heard_heartbeat())
        registry::tick_due(coarse_now());
}

void upkeep::hand_down_slice() noexcept {
    const std::uint64_t blocks = shared_.leaving.blocks();
    const std::size_t spans = supply_.blocks.expired();
    if (blocks != 0 || spans != 0) [[unlikely]]
        hand_down(outgoing::slice(blocks, slice_blocks), outgoing::slice(spans, slice_spans));
}

void upkeep::begin_tick(std::chrono::nanoseconds now) noexcept {
    blocks_share_.begin(now);
    spans_share_.begin(now);
    shared_.leaving.begin_tick();
}

void upkeep::hand_down_share(std::chrono::nanoseconds now) noexcept {
    const std::uint64_t blocks = shared_.leaving.blocks();
    if (blocks != 0) hand_down(std::max(blocks_share_.owed(blocks, now), outgoing::slice(blocks, slice_blocks)), 0);
    if (const std::size_t spans = supply_.blocks.expired())  // those of these blocks among them
        hand_down(0, std::max(spans_share_.owed(spans, now), outgoing::slice(spans, slice_spans)));
}

std::size_t upkeep::hand_down_all() noexcept { return hand_down(outgoing::everything, outgoing::everything); }

// A magazine at a time, so that no lock of the source is held for long. The spans of those blocks are among the
// expired.
std::size_t upkeep::hand_down(std::size_t blocks_max, std::size_t spans_max) noexcept {
    const in_hand mine(*this);
    std::size_t bytes = 0;
    shared_.leaving.receive(blocks_max, [&](magazine* m) {
        bytes += m->count() * shared_.sizes[m->size_class()];
        supply_.put(m, true);
    });
    if (spans_max != 0 && supply_.blocks.return_expired(spans_max) > 0) shared_.leaving.owe_purge();
    return bytes;
}

void upkeep::wait_for_others() noexcept {
    if (this_thread->upstream_calls != 0) return;
    std::array<bool, 2> through{};
    for (unsigned round = 0; round < others_wait_rounds; ++round) {
        for (std::uint32_t g = 0; g < 2; ++g)
            if (under_way_[g].load(std::memory_order_acquire) == 0) through[g] = true;  // partner: ~in_hand()
        if (through[0] && through[1]) return;
        // New ones join the group that is no longer waited for, so that the other one ends.
        for (std::uint32_t g = 0; g < 2; ++g)
            if (through[g]) joined_.store(g, std::memory_order_relaxed);
        wait_long(round);
    }
}

void upkeep::forget_others() noexcept {
    for (auto& group : under_way_) group.store(0, std::memory_order_relaxed);
}

void upkeep::finish_if_done() noexcept {
    if (unfinished() && !waiting() && end_tick() && shared_.leaving.settle_purge()) purge();
}

// Looks again after it has cleared the mark, which may have been that of a tick that began after the first look.
bool upkeep::end_tick() noexcept {
    shared_.leaving.end_tick();
    if (!waiting()) return true;
    shared_.leaving.begin_tick();
    return false;
}

void upkeep::purge() noexcept {
    shared_.leaving.settle_purge();
    {
        const lock_guard hold(visiting_);
        shared_.release_empties();
    }
    supply_.upstream.purge();
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

#include "pool/upkeep.hpp"

#include "base/clock.hpp"
#include "base/lock_guard.hpp"
#include "clock/heartbeat.hpp"
#include "clock/registry.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::uint32_t exchanges_per_look = 16;  // of magazines by a thread, between two looks at the clock
constexpr std::size_t slice_blocks = 256;         // an exchange hands down this many blocks at least,
constexpr std::size_t slice_spans = 2;            // ... and this many idle spans

}  // namespace

void upkeep::after_exchange(std::uint32_t exchanges) noexcept {
    hand_down_slice();
    if (exchanges % exchanges_per_look == 0 || registry::tick_unfinished() || heard_heartbeat())
        registry::tick_due(coarse_now());
}

void upkeep::hand_down_slice() noexcept {
    const std::uint64_t blocks = shared_.leaving.blocks();
    const std::size_t spans = supply_.blocks.expired();
    if (blocks != 0 || spans != 0) [[unlikely]]
        hand_down(outgoing::slice(blocks, slice_blocks), outgoing::slice(spans, slice_spans));
}

std::size_t upkeep::hand_down_all() noexcept { return hand_down(outgoing::everything, outgoing::everything); }

// A magazine at a time, so that no lock of the source is held for long. The spans of those blocks are among the
// expired.
std::size_t upkeep::hand_down(std::size_t blocks_max, std::size_t spans_max) noexcept {
    std::size_t bytes = 0;
    shared_.leaving.receive(blocks_max, [&](magazine* m) {
        bytes += m->count() * shared_.sizes[m->size_class()];
        supply_.put(m, true);
    });
    if (spans_max != 0 && supply_.blocks.return_expired(spans_max) > 0) shared_.leaving.owe_purge();
    return bytes;
}

void upkeep::finish_if_done() noexcept {
    if (!unfinished() || shared_.leaving.blocks() != 0 || supply_.blocks.expired() != 0) return;
    if (shared_.leaving.finish_tick()) purge();
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

#include "pool/rotation.hpp"

#include "base/lock_guard.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr unsigned visits_by_hand = 64;

}  // namespace

// Those who have rotated by themselves meanwhile need no visit.
void rotation::rotate_behind(std::uint64_t tick, roster::patience how_long) noexcept {
    const std::uint32_t passed_over = roster_.visit([&](const local& each) { return each.epoch() != tick; }, how_long,
                                                    [&](pin& theirs) { theirs.catch_up(tick); });
    left_.store(passed_over != 0, std::memory_order_relaxed);
}

std::uint64_t rotation::tick() noexcept {
    const lock_guard hold(roster_.visiting);
    const std::uint64_t now = ticks() + 1;
    ticks_.store(now, std::memory_order_relaxed);
    rotate_behind(now, roster::with_naps);
    std::uint64_t chained = 0;
    roster_.for_each([&](local& each) {
        // Owners that are not kept out rotate by themselves. Chains of one that has not done so for two ticks hold
        // nothing younger than that: it would have rotated before it put anything there.
        if (now - each.epoch() >= 2) roster_.drain(each);
        chained += each.bytes_chained();
    });
    return chained;
}

void rotation::again(roster::patience how_long) noexcept {
    const lock_guard hold(roster_.visiting);
    rotate_behind(ticks(), how_long);
}

bool rotation::again_if_due(std::chrono::nanoseconds now) noexcept {
    if (!left() || !again_.claim(now)) return false;
    again(roster::brief);
    return true;
}

void rotation::again_until_done() noexcept {
    for (unsigned visit = 0; left() && visit < visits_by_hand; ++visit) {
        wait_long(roster::brief);
        again(roster::with_naps);
    }
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

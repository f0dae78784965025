#include <tidepool/tick.hpp>

#include "base/clock.hpp"
#include "base/signals_blocked.hpp"
#include "base/uncancelled.hpp"
#include "clock/registry.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {

void tick() noexcept { detail::registry::tick_all(); }

namespace {

// Slices that the background thread hands down in a row before it sleeps again: tens of GiB.
constexpr int rounds_max = 100'000;

}  // namespace

// steady_clock and the coarse clock of the pools count from the same moment.
bool ticker::tick_if_due(clock::time_point now) noexcept {
    if (interval_ == std::chrono::milliseconds(0)) return detail::registry::tick_due(now.time_since_epoch());
    if (now < due_) return false;
    due_ = now + interval_;
    tick();
    return true;
}

background_ticker::background_ticker(std::chrono::milliseconds period) : period_(period) {
    const detail::signals_blocked for_the_thread;  // the program's signals are for the program's threads
    thread_ = std::thread([this] { run(); });
}

background_ticker::~background_ticker() {
    {
        const std::lock_guard hold(lock_);
        dismissed_ = true;
    }
    dismissal_.notify_all();
    const detail::cancellation_off to_the_end;  // join() is a cancellation point, and a destructor may not throw
    thread_.join();
}

void background_ticker::run() noexcept {
    std::unique_lock hold(lock_);
    while (!dismissal_.wait_for(hold, period_, [this] { return dismissed_.load(); })) {
        hold.unlock();
        // Nobody else may come to hand down what a tick has left. Where more becomes due all the while, the next period
        // goes on.
        for (int rounds = 0; rounds < rounds_max && !dismissed_ && detail::registry::tick_due(detail::coarse_now());
             ++rounds) {
        }
        hold.lock();
    }
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

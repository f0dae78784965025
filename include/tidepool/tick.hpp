// Control over the ticks of the process's pools.
//
// Pools age by themselves: the slow path of any pool, which a thread also takes after a number of hits that tunes
// itself, and the heartbeat of an upstream that has one (mimalloc.hpp, jemalloc.hpp), check whether a tick of any pool
// is due. This header is for programs that want control over that. Each check costs one read of a coarse clock and at
// most one try-lock; of several threads that check at once, one performs the ticks.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Ages every pool of the process by one tick: stock that has been idle since before the previous tick is returned to
// its upstream. Thread-safe; waits for a tick in progress, and up to 0.2 s for threads that the system keeps from
// running inside a pool. Takes time linear in the number of locals and of returned blocks.
void tick() noexcept;

// Ticks from a loop of the program, such as the frames of a game or the turns of an event loop.
//
//   tidepool::ticker tide(std::chrono::seconds(1));   // pools with decay_interval = 0 age only here
//   for (;;) { frame(); tide.tick_if_due(std::chrono::steady_clock::now()); }
//
// Different threads may use different tickers at once. Calls on one ticker must not overlap.
class ticker {
public:
    using clock = std::chrono::steady_clock;

    // With an interval of zero, each pool ages by its own decay_interval. Otherwise every pool of the process ages once
    // an interval, whatever its own decay_interval is, for the first time one interval after `now`.
    explicit ticker(std::chrono::milliseconds interval = std::chrono::milliseconds(0),
                    clock::time_point now = clock::now()) noexcept
        : interval_(interval), due_(now + interval) {}

    // Performs the ticks that are due at `now`, which must not decrease between calls. Returns true if there was work.
    // Missed ticks are not made up for. Costs one comparison if nothing is due. With an interval of zero, a tick
    // returns stock in slices, one a call: call again while it returns true, or in the next frame.
    bool tick_if_due(clock::time_point now = clock::now()) noexcept;

private:
    std::chrono::milliseconds interval_;
    clock::time_point due_;
};

// A thread that ticks the pools whose decay_interval has passed, also while all other threads sleep. It blocks all
// signals and runs from the constructor to the destructor. One in a process is enough. A forked child does not have it.
class background_ticker {
public:
    // Checks once a period. Throws std::system_error if the thread cannot be started.
    explicit background_ticker(std::chrono::milliseconds period = std::chrono::milliseconds(250));
    background_ticker(const background_ticker&) = delete;
    background_ticker& operator=(const background_ticker&) = delete;
    // Waits for a tick, or a slice of one, in progress.
    ~background_ticker();

private:
    void run() noexcept;

    const std::chrono::milliseconds period_;
    std::mutex lock_;
    std::condition_variable dismissal_;
    std::atomic<bool> dismissed_{false};  // guarded by lock_ for writers
    std::thread thread_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

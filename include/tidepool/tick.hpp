// Who drives the decay of the process's pools.
//
// By themselves: the slow path of any pool, and the heartbeat of an upstream that has one (mimalloc.hpp, jemalloc.hpp),
// ask whether a tick of any pool is due. What is here is for programs that want a say. All of it leads to the same
// question, which costs one read of a coarse clock and at most one try-lock, and of all who ask at a time one performs
// the ticks.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Ages every pool of the process by one tick: what was idle through the tick before goes back to its upstream. Any
// thread; waits for a tick under way. Time in proportion to the threads' parts and to what goes back.
void tick() noexcept;

// For those who drive ticks by hand: once a frame of a game, once a turn of an event loop.
//
//   tidepool::ticker tide(std::chrono::seconds(1));   // pools with decay_interval = 0 age here and nowhere else
//   for (;;) { frame(); tide.tick_if_due(std::chrono::steady_clock::now()); }
//
// Different tickers may be used by different threads at once; one ticker by one thread at a time.
class ticker {
public:
    using clock = std::chrono::steady_clock;

    // Zero: asks each pool whether its own decay_interval has gone by. Otherwise ages every pool of the process,
    // whatever its own interval is, once an interval, the first time an interval from `now`.
    explicit ticker(std::chrono::milliseconds interval = std::chrono::milliseconds(0),
                    clock::time_point now = clock::now()) noexcept
        : interval_(interval), due_(now + interval) {}

    // Performs what is due at `now`, which may be any time that does not go back. True where there was something to do.
    // Ticks that were missed are not made up for. A comparison where nothing is due. With interval zero a tick hands
    // down a slice of what goes back, and the following calls the rest: call again while it is true, or next frame.
    bool tick_if_due(clock::time_point now = clock::now()) noexcept;

private:
    std::chrono::milliseconds interval_;
    clock::time_point due_;
};

// A thread that ticks pools whose decay_interval has gone by, also when the whole program is asleep. It takes no
// signals. Runs from the constructor to the destructor; one in a process is enough. It does not live on in a forked
// child.
class background_ticker {
public:
    // Looks at the clock once a period. Throws std::system_error when there can be no thread.
    explicit background_ticker(std::chrono::milliseconds period = std::chrono::milliseconds(250));
    background_ticker(const background_ticker&) = delete;
    background_ticker& operator=(const background_ticker&) = delete;
    // Waits for a tick or a slice of one that is under way.
    ~background_ticker();

private:
    void run() noexcept;

    const std::chrono::milliseconds period_;
    std::mutex lock_;
    std::condition_variable dismissal_;
    std::atomic<bool> dismissed_{false};  // written under lock_
    std::thread thread_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

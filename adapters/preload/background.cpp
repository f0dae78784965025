#include "background.hpp"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <climits>

#include "base/signals_blocked.hpp"
#include "base/uncancelled.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace background {

namespace {

constexpr std::size_t stack_bytes = std::size_t{64} << 10;  // beyond the system's minimum
constexpr long shortest_sleep_ms = 5, longest_sleep_ms = 1000;

// Written at load, read by the thread and after a fork.
void (*tick)() noexcept = nullptr;
long sleep_ms;
bool running = false;

void* run(void*) {
    const timespec pause{sleep_ms / 1000, sleep_ms % 1000 * 1'000'000};
    for (;;) {
        detail::uncancelled::sleep(pause);
        tick();
    }
}

void start_thread() noexcept {
    const detail::signals_blocked for_the_thread;  // the program's signals are for the program's threads
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    ::pthread_attr_setstacksize(&attributes, static_cast<std::size_t>(PTHREAD_STACK_MIN) + stack_bytes);
    pthread_t thread;
    running = ::pthread_create(&thread, &attributes, run, nullptr) == 0;
    ::pthread_attr_destroy(&attributes);
}

}  // namespace

// Twice per interval, so that a tick is at most half an interval late.
void start(long interval_ms, void (*each_time)() noexcept) noexcept {
    sleep_ms = std::clamp(interval_ms / 2, shortest_sleep_ms, longest_sleep_ms);
    tick = each_time;
    start_thread();
}

void after_fork_in_child() noexcept {
    if (running) start_thread();
}

}  // namespace background
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

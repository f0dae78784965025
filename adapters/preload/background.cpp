#include "background.hpp"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <climits>

#include "base/signals_blocked.hpp"
#include "shim.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace background {

namespace {

constexpr std::size_t stack_bytes = std::size_t{64} << 10;  // beyond the system's minimum
constexpr long shortest_sleep_ms = 5, longest_sleep_ms = 1000;

bool running = false;  // written at load, read after a fork

// Twice per decay interval, so that a tick is at most half an interval late.
void* run(void*) {
    const long ms = std::clamp(current.decay_ms / 2, shortest_sleep_ms, longest_sleep_ms);
    const timespec pause{ms / 1000, ms % 1000 * 1'000'000};
    for (;;) {
        ::nanosleep(&pause, nullptr);
        tick_at_leisure();
    }
}

}  // namespace

void start() noexcept {
    if (current.decay_ms == 0) return;
    const detail::signals_blocked for_the_thread;  // the program's signals are for the program's threads
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    ::pthread_attr_setstacksize(&attributes, static_cast<std::size_t>(PTHREAD_STACK_MIN) + stack_bytes);
    pthread_t thread;
    running = ::pthread_create(&thread, &attributes, run, nullptr) == 0;
    ::pthread_attr_destroy(&attributes);
}

void after_fork_in_child() noexcept {
    if (running) start();
}

}  // namespace background
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

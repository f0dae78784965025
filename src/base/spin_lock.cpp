#include "base/spin_lock.hpp"

#include "base/waiting.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr unsigned spins_max = 100;  // longer than most holders stay, shorter than it takes to sleep and wake up

}  // namespace

// Whoever has slept takes the lock as `wanted`, since others may still sleep.
void spin_lock::wait() noexcept {
    for (unsigned spin = 0; spin < spins_max; ++spin) {
        pause();
        if (state_.load(std::memory_order_relaxed) == free && take()) return;  // relaxed: take() decides
    }
    while (state_.exchange(wanted, std::memory_order_acquire) != free)  // partner: open()
        futex::sleep(state_, wanted);
}

void spin_lock::wake() noexcept { futex::wake(state_); }

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

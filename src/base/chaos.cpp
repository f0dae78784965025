#include "base/chaos.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "base/splitmix.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

// Relaxed: tests switch it while nobody rolls, or do not care when it takes effect.
std::atomic<bool> enabled{true};

std::uint64_t first_seed() noexcept {
    static std::atomic<std::uint64_t> threads{0};
    const char* wanted = std::getenv("TIDEPOOL_CHAOS_SEED");  // NOLINT(concurrency-mt-unsafe): nobody sets it meanwhile
    return (wanted ? std::strtoull(wanted, nullptr, 0) : 1) + threads.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

void enable_chaos(bool on) noexcept { enabled.store(on, std::memory_order_relaxed); }

bool roll_dice(unsigned one_in) noexcept {
    if (!enabled.load(std::memory_order_relaxed)) return false;
    thread_local std::uint64_t state = 0;
    if (state == 0) state = first_seed();
    return splitmix64(state) % one_in == 0;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

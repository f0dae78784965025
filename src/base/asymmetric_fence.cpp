#include "base/asymmetric_fence.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace asymmetric_fence {

namespace {

// From linux/membarrier.h, which not every libc brings.
constexpr int private_expedited = 1 << 3;
constexpr int register_private_expedited = 1 << 4;

int membarrier([[maybe_unused]] int command) noexcept {
#if defined(SYS_membarrier)
    const int saved = errno;
    const long result = ::syscall(SYS_membarrier, command, 0, 0);
    errno = saved;
    return static_cast<int>(result);
#else
    return -1;
#endif
}

// What the kernel said. Relaxed: asked twice at worst. It may change its mind from yes to no only, for good.
enum class answer { unasked, yes, no };
std::atomic<answer> registered{answer::unasked};

// Relaxed: tests set it before they make their pools.
std::atomic<bool> pretending{false};

}  // namespace

bool available() noexcept {
    if (refused()) return false;
    if (registered.load(std::memory_order_relaxed) == answer::unasked) {
        auto unasked = answer::unasked;
        registered.compare_exchange_strong(
            unasked, membarrier(register_private_expedited) == 0 ? answer::yes : answer::no, std::memory_order_relaxed);
    }
    return registered.load(std::memory_order_relaxed) == answer::yes;
}

bool heavy() noexcept {
    if (!available()) return false;
    if (membarrier(private_expedited) == 0) return true;
    registered.store(answer::no, std::memory_order_relaxed);
    return false;
}

bool refused() noexcept {
    return registered.load(std::memory_order_relaxed) == answer::no || pretending.load(std::memory_order_relaxed);
}

void after_fork_in_child() noexcept {
    auto yes = answer::yes;
    registered.compare_exchange_strong(yes, answer::unasked, std::memory_order_relaxed);
}

void pretend_missing(bool missing) noexcept { pretending.store(missing, std::memory_order_relaxed); }

}  // namespace asymmetric_fence
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// errno is after a scope what it was before: an allocator's own calls may set it, and an upstream must not.
#pragma once

#include <atomic>
#include <cerrno>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class errno_kept {
public:
    errno_kept() noexcept = default;
    errno_kept(const errno_kept&) = delete;
    errno_kept& operator=(const errno_kept&) = delete;
    ~errno_kept() {
        // clang assumes that malloc leaves errno alone, and would drop the assignment.
        std::atomic_signal_fence(std::memory_order_seq_cst);  // of the compiler only: before the store below
        errno = errno_;
    }

private:
    const int errno_ = errno;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

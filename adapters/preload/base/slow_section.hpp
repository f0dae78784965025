// While a thread is in a slow section it may hold locks of the pool or of its backing. A signal handler, a fork handler
// or libc itself that allocates on the thread meanwhile sees that, and takes none of them.
#pragma once

#include <atomic>
#include <cerrno>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

// Whether the thread is in one. A number, because a fork in a signal handler may come inside a slow section. Of the two
// words that the shim has in each thread the second; the first is this_thread.
extern constinit thread_local unsigned inside __attribute__((tls_model("initial-exec")));

// False if the thread is in one already. errno is afterwards what it was before.
class slow_section {
public:
    slow_section() noexcept : entered_(inside == 0), errno_(errno) {
        inside += entered_;
        std::atomic_signal_fence(std::memory_order_seq_cst);  // marked before the first lock
    }
    slow_section(const slow_section&) = delete;
    slow_section& operator=(const slow_section&) = delete;
    ~slow_section() {
        std::atomic_signal_fence(std::memory_order_seq_cst);  // unmarked after the last lock
        inside -= entered_;
        errno = errno_;
    }
    explicit operator bool() const noexcept { return entered_; }

private:
    const bool entered_;
    const int errno_;
};

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

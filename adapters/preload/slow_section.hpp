// While a thread is in a slow section it may hold locks of the pool, or of what stands below; whatever allocates on it
// meanwhile, be it a signal handler, a fork handler or libc itself, finds the thread marked and keeps out of them.
#pragma once

#include <atomic>
#include <cerrno>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

// Whether the thread is in one. The second of two words of static TLS; the first is this_thread.
// A number, because a fork in a signal handler may come inside a slow section.
extern constinit thread_local unsigned inside __attribute__((tls_model("initial-exec")));

// Entered once a thread: false where it is in one already. errno is afterwards what it was before.
class slow_section {
public:
    slow_section() noexcept : entered_(inside == 0), errno_(errno) {
        inside += entered_;
        std::atomic_signal_fence(std::memory_order_seq_cst);  // marked before the first lock, for a handler to see
    }
    slow_section(const slow_section&) = delete;
    slow_section& operator=(const slow_section&) = delete;
    ~slow_section() {
        std::atomic_signal_fence(std::memory_order_seq_cst);  // unmarked after the last lock, for the compiler, too
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

// Forks: in which process of a line of them the caller is, and which are made inside another one.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Forks between the process that was started and this one. Relaxed: written while there is one thread.
inline constinit std::atomic<std::uint32_t> forks_behind{0};

// Who calls the program's own code with something counted, and goes on in a child that this code has forked, sees by
// another number that the child has begun the count anew.
inline std::uint32_t fork_count() noexcept { return forks_behind.load(std::memory_order_relaxed); }

// A handler of somebody's that forks does so inside a fork of the same thread: only the outermost counts. One thread
// at a time, but for here().
class fork_nest {
public:
    // Whether the calling thread is in a fork. Relaxed: another thread's mark never looks like its own.
    bool here() const noexcept { return by_.load(std::memory_order_relaxed) == ::pthread_self(); }

    // Before a fork: true, and counted, inside another one. Otherwise begin() follows, when no other thread forks.
    bool nested() noexcept {
        inside_ += here();
        return here();
    }
    void begin() noexcept { by_.store(::pthread_self(), std::memory_order_relaxed); }

    // After a fork; of the outermost, this process is the child also if it is that of one inside.
    enum class end_of { nested, in_parent, in_child };
    end_of end(bool in_child) noexcept {
        in_child_ = in_child_ || in_child;
        if (inside_ != 0) {
            --inside_;
            return end_of::nested;
        }
        by_.store({}, std::memory_order_relaxed);
        return std::exchange(in_child_, false) ? end_of::in_child : end_of::in_parent;
    }

private:
    std::atomic<pthread_t> by_{};
    unsigned inside_ = 0;
    bool in_child_ = false;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

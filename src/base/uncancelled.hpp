// Calls of the operating system that are no cancellation points, as those of libc are: a thread must not end where it
// holds a lock, or in the midst of a line. And a scope in which a thread is not cancelled, around calls of others.
//
// tests/structure/cancellation_points finds what goes another way.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace uncancelled {

inline ssize_t write(int file, const void* from, std::size_t bytes) noexcept {
    return ::syscall(SYS_write, file, from, bytes);
}
inline int open(const char* path, int flags, mode_t mode) noexcept {
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
inline void close(int file) noexcept { ::syscall(SYS_close, file); }
inline int duplicate(int file, int least) noexcept {
    return static_cast<int>(::syscall(SYS_fcntl, file, F_DUPFD_CLOEXEC, least));
}
inline void sleep(const timespec& time) noexcept { ::syscall(SYS_nanosleep, &time, nullptr); }

}  // namespace uncancelled

// While one is there, a cancellation of the thread waits.
class cancellation_off {
public:
    cancellation_off() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
    ~cancellation_off() { ::pthread_setcancelstate(before_, nullptr); }
    cancellation_off(const cancellation_off&) = delete;
    cancellation_off& operator=(const cancellation_off&) = delete;

private:
    int before_;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

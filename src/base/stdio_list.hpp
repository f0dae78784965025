// The lock of the C library's list of open files, which fork() takes after all handlers have run. Whoever takes locks
// in such a handler takes this one first: fflush(nullptr) holds the list while it waits for a file, and the file's
// holder may be waiting for one of those locks, as in getline(), which allocates.
//
// glibc exports what it takes; where it is not there, nothing is done. Recursive.
#pragma once

#include <tidepool/detail/config.hpp>

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the C library's names
[[gnu::weak]] void _IO_list_lock() noexcept;
[[gnu::weak]] void _IO_list_unlock() noexcept;
[[gnu::weak]] void _IO_list_resetlock() noexcept;
// NOLINTEND(bugprone-reserved-identifier)
}

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace stdio_list {

inline bool known() noexcept { return _IO_list_lock && _IO_list_unlock && _IO_list_resetlock; }

inline void before_fork() noexcept {
    if (known()) ::_IO_list_lock();
}
inline void after_fork_in_parent() noexcept {
    if (known()) ::_IO_list_unlock();
}
// As fork() itself does there, which has done so already if there were several threads.
inline void after_fork_in_child() noexcept {
    if (known()) ::_IO_list_resetlock();
}

}  // namespace stdio_list
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

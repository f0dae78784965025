// What is not the pool's: large blocks, and pointers of whoever else. In a hardened build watched_large.cpp stands
// between the shim and its backing; in others the backing is called straight away. As the functions of backing.hpp.
#pragma once

#include <cstddef>

#include "backing/backing.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

namespace watched_large {

void* malloc(std::size_t bytes) noexcept;
void* calloc(std::size_t count, std::size_t bytes) noexcept;
void* realloc(void* p, std::size_t bytes) noexcept;
void* memalign(std::size_t alignment, std::size_t bytes) noexcept;
void free(void* p) noexcept;
void free_inside(void* p) noexcept;
std::size_t usable_size(void* p) noexcept;

// Between pages that may not be touched, at the end of its own.
void* guarded(std::size_t alignment, std::size_t bytes) noexcept;

// Ends the program where p is a watched block and the size another.
void check_size(void* p, std::size_t bytes) noexcept;

// Freed blocks that are kept for a while go down.
void trim() noexcept;

// Around a fork, by the forking thread.
void before_fork() noexcept;
void after_fork() noexcept;

}  // namespace watched_large

#if defined(TIDEPOOL_HARDENED)
namespace large = watched_large;
#else
namespace large = backing;
#endif

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

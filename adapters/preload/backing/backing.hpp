// The shim's backing: a malloc for requests that no size class serves, and an upstream for spans. Implemented by
// over_other_malloc.cpp with one of regions.cpp, mimalloc.cpp, jemalloc.cpp and pages.cpp. Any thread, in a
// slow section or not.
//
// malloc, calloc, realloc and memalign are as the C functions: null, with ENOMEM, if there is no memory.
#pragma once

#include <chrono>
#include <cstddef>

#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace backing {

void* malloc(std::size_t bytes) noexcept;
void* calloc(std::size_t count, std::size_t bytes) noexcept;
void* realloc(void* p, std::size_t bytes) noexcept;
void* memalign(std::size_t alignment, std::size_t bytes) noexcept;
void free(void* p) noexcept;
std::size_t usable_size(void* p) noexcept;

// As free(), by a thread that has entered a slow section, with signals blocked.
void free_inside(void* p) noexcept;

// Returns idle memory except `keep` bytes to the operating system. Whether there was any.
bool trim(std::size_t keep) noexcept;
// Bytes with the program, and in total.
struct use {
    std::size_t in_use, held;
};
use measure() noexcept;

// Once, in a slow section. How long and how much of what is freed may be kept for the next request.
void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept;

// Never calls the functions above, not even indirectly.
upstream spans() noexcept;

// Around a fork, by the forking thread.
void before_fork() noexcept;
void after_fork(bool in_child) noexcept;

}  // namespace backing
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// An allocator in libc's place as the shim's backing, which is not the process's malloc. One of mimalloc.cpp
// and jemalloc.cpp implements it, or over_regions.cpp with one of regions.cpp and pages.cpp. Any thread, in a slow
// section only, so a signal handler never finds it halfway. It allocates large blocks and spans, and is handed no
// foreign block.
//
// Null if there is no memory. `had` is the size that was asked for when p was allocated.
#pragma once

#include <chrono>
#include <cstddef>

#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept;

// Whether such a request is for this malloc; libc's has the others. In a slow section or not.
struct request {
    std::size_t bytes;
    std::size_t alignment = 1;
};
bool serves(const request& wanted) noexcept;

// Whether p lies in memory of this malloc, as far as it tells.
bool holds(const void* p) noexcept;

void* allocate(std::size_t bytes) noexcept;  // aligned to 16
void* allocate_zeroed(std::size_t bytes) noexcept;
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept;
// If null, p is left as it was.
void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept;
void deallocate(void* p, std::size_t had) noexcept;
std::size_t usable_size(void* p, std::size_t had) noexcept;

// What it keeps, as far as it tells.
std::size_t idle_bytes() noexcept;
// Returns idle memory to the operating system. Whether there was any, as far as it tells.
bool purge() noexcept;

upstream spans() noexcept;

// Around a fork, by the forking thread.
void before_fork() noexcept;
void after_fork(bool in_child) noexcept;

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

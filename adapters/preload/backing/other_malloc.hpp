// An allocator that is not the process's malloc and stands below the shim in libc's place. One file each implements it:
// mimalloc.cpp, jemalloc.cpp, pages.cpp. Called by any thread in a slow section, so a signal handler never meets it
// halfway; it has large blocks and spans, and never meets a block that is not its own.
//
// Null when there is no memory; `had` is what was asked for when p was allocated.
#pragma once

#include <cstddef>

#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

void* allocate(std::size_t bytes) noexcept;  // aligned to 16
void* allocate_zeroed(std::size_t bytes) noexcept;
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept;
// Null leaves p as it was.
void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept;
void deallocate(void* p, std::size_t had) noexcept;
std::size_t usable_size(void* p, std::size_t had) noexcept;

// Hands idle memory on to the operating system.
void purge() noexcept;

upstream spans() noexcept;

// Around a fork, by the forking thread.
void before_fork() noexcept;
void after_fork() noexcept;

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// What stands below the shim: the malloc that serves what no size class does, and the memory that spans are made of.
// One file a flavour implements it: over_libc.cpp, or over_another.cpp with one of mimalloc.cpp, jemalloc.cpp and
// pages.cpp. Any thread, in a slow section or not.
//
// malloc, calloc, realloc and memalign answer as the C functions: null and ENOMEM when there is no memory.
#pragma once

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

// By the thread that has entered a slow section: as free().
void free_inside(void* p) noexcept;

// Hands idle memory on to the operating system, but for `keep` bytes. Whether there was any.
bool trim(std::size_t keep) noexcept;
// Bytes with the program, and in all.
struct use {
    std::size_t in_use, held;
};
use measure() noexcept;

// For spans. Calls neither the functions above nor anything that could.
upstream spans() noexcept;

// Around a fork, by the forking thread.
void before_fork() noexcept;
void after_fork() noexcept;

}  // namespace backing
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

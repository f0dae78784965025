// libc's own malloc, by the second names that it has besides those that the shim defines. Any thread.
#pragma once

#include <cstddef>

#include "backing.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace libc {

void* malloc(std::size_t bytes) noexcept;
void* calloc(std::size_t count, std::size_t bytes) noexcept;
void* realloc(void* p, std::size_t bytes) noexcept;
void* memalign(std::size_t alignment, std::size_t bytes) noexcept;
void free(void* p) noexcept;
std::size_t usable_size(void* p) noexcept;
bool trim(std::size_t keep) noexcept;
backing::use measure() noexcept;

}  // namespace libc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

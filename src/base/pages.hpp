// Whole pages from the operating system: for the pool's own records and for the `pages` upstream. Any thread.
#pragma once

#include <cstddef>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// The system's page size in bytes.
std::size_t page_bytes() noexcept;

// `bytes` rounded up to whole pages; less than `bytes` where that overflows.
std::size_t whole_pages(std::size_t bytes) noexcept;

// Zeroed pages, `bytes` rounded up to whole ones, at a multiple of `alignment` (a power of two). Null when there are
// none. errno is left as it was.
void* map_pages(std::size_t bytes, std::size_t alignment) noexcept;

// Makes mapped pages resident in one call. A hint: kernels before Linux 5.14 leave it at that. What they hold stays.
void populate_pages(void* p, std::size_t bytes) noexcept;

// As mapped. Memory the kernel will not unmap (too many mappings) is emptied instead, so that it is resident no more.
void unmap_pages(void* p, std::size_t bytes) noexcept;

// Makes the whole pages within a block resident no more. The block stays usable; what is in it is lost. errno is left
// as it was. False where the kernel refuses, as of locked memory (mlockall): then nothing has changed.
bool empty_pages(void* p, std::size_t bytes) noexcept;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

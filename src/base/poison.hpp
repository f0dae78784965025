// Tells the address sanitizer which bytes are off limits. Nothing in other builds. Any thread.
#pragma once

#include <cstddef>

#include <tidepool/detail/config.hpp>

#if defined(TIDEPOOL_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

inline void poison([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(TIDEPOOL_ASAN)
    __asan_poison_memory_region(p, bytes);
#endif
}

inline void unpoison([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(TIDEPOOL_ASAN)
    __asan_unpoison_memory_region(p, bytes);
#endif
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The alignment that mimalloc and jemalloc give without being asked, as malloc does.
#pragma once

#include <algorithm>
#include <cstddef>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Of blocks with at least as many bytes. Smaller ones may be aligned to 8 only.
inline constexpr std::size_t natural_alignment = 16;

// The bytes to ask for, so that a natural alignment is met. Never 0, which jemalloc's extended calls do not allow.
constexpr std::size_t naturally_aligned_bytes(std::size_t bytes, std::size_t alignment) noexcept {
    return std::max(bytes, alignment > natural_alignment / 2 ? natural_alignment : 1);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Sixteen random bytes that the system hands to each process, as two numbers: for what shall differ between processes.
#pragma once

#include <sys/auxv.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// `which`: 0 or 1. No system call. The same in a forked child.
inline std::uint64_t process_random(std::size_t which) noexcept {
    std::uint64_t number = 0;
    if (const auto* bytes = reinterpret_cast<const std::byte*>(::getauxval(AT_RANDOM)))
        std::memcpy(&number, bytes + which * sizeof number, sizeof number);
    return number;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// What users may set, and what holds if they set nothing: of a pool in the library, and of the one in the malloc shim,
// whose threads keep less because every thread of the process uses it. include/tidepool/options.hpp has the library's
// other defaults.
#pragma once

#include <chrono>
#include <cstddef>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace limits {

inline constexpr std::size_t kib = 1024, mib = 1024 * kib;

// 0: ticks only when asked to.
inline constexpr std::chrono::milliseconds decay_interval_default{1000};
inline constexpr std::chrono::milliseconds decay_interval_max = std::chrono::hours(24);

// Memory without a block in use that is kept, for two ticks at most.
inline constexpr std::size_t idle_bytes_default = 128 * mib;

// Blocks in the chains of all threads beyond the share of each.
inline constexpr std::size_t depot_bytes_default = 16 * mib;

inline constexpr std::size_t block_bytes_max = mib;          // of a block_pool
inline constexpr std::size_t magazine_bytes_max = 16 * mib;  // that may be set

// Blocks in one magazine; blocks in all magazines that a thread has to itself; blocks beyond those.
inline constexpr std::size_t private_bytes = 4 * mib;
inline constexpr std::size_t object_magazine_bytes = 64 * kib;  // of an object pool, by default: whichever is less
inline constexpr std::size_t object_magazine_objects = 64;
inline constexpr std::size_t shim_magazine_bytes = 16 * kib;
inline constexpr std::size_t shim_private_bytes = 768 * kib;
inline constexpr std::size_t shim_local_bytes_default = 256 * kib;  // a thread that only frees keeps 1 MiB in all

}  // namespace limits
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// How much work a test does: all of it in the build that users get, less in builds where every step costs many times as
// much (sanitizers, hardened, chaos, no optimization, emulation).
#pragma once

#include <cstddef>

#include <tidepool/detail/config.hpp>

namespace support {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_tsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif
#else
inline constexpr bool under_tsan = false;
#endif

inline constexpr bool under_asan = tidepool::detail::poisoning;

#if defined(__OPTIMIZE__)
inline constexpr bool optimized = true;
#else
inline constexpr bool optimized = false;
#endif

// For another machine, in QEMU's user mode, which keeps some 200 KiB of each thread that ever was.
#if defined(TIDEPOOL_TESTS_EMULATED)
inline constexpr bool emulated = true;
#else
inline constexpr bool emulated = false;
#endif

inline constexpr bool slow_build =
    under_tsan || under_asan || emulated || tidepool::detail::hardened || tidepool::detail::chaotic || !optimized;

// The number of rounds, operations or threads to run: `full`, or a tenth of it in a slow build, but at least one.
constexpr std::size_t scaled(std::size_t full) noexcept { return !slow_build ? full : full < 10 ? 1 : full / 10; }

}  // namespace support

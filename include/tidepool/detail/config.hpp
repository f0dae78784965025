// The build's switches, in one place. Used by every file; includes nothing of ours.
//
// What changes the behaviour of an inline function is part of the inline namespace's name, so that objects built
// with different switches do not link instead of quietly disagreeing.
#pragma once

#if __cplusplus < 202002L || !defined(__LP64__) || !__has_include(<memory_resource>)
#error "Tidepool needs a 64-bit target, C++20 and <memory_resource>: g++ 12, clang++ 14, libc++ 16 or later"
#endif

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define TIDEPOOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TIDEPOOL_ASAN 1
#endif
#endif

#if defined(TIDEPOOL_HARDENED) && defined(TIDEPOOL_CHAOS) && defined(TIDEPOOL_ASAN)
#define TIDEPOOL_ABI v0_hardened_chaos_asan
#elif defined(TIDEPOOL_HARDENED) && defined(TIDEPOOL_CHAOS)
#define TIDEPOOL_ABI v0_hardened_chaos
#elif defined(TIDEPOOL_HARDENED) && defined(TIDEPOOL_ASAN)
#define TIDEPOOL_ABI v0_hardened_asan
#elif defined(TIDEPOOL_CHAOS) && defined(TIDEPOOL_ASAN)
#define TIDEPOOL_ABI v0_chaos_asan
#elif defined(TIDEPOOL_HARDENED) && defined(TIDEPOOL_RELEASED)
#define TIDEPOOL_ABI v0_hardened_released
#elif defined(TIDEPOOL_HARDENED)
#define TIDEPOOL_ABI v0_hardened
#elif defined(TIDEPOOL_CHAOS)
#define TIDEPOOL_ABI v0_chaos
#elif defined(TIDEPOOL_ASAN)
#define TIDEPOOL_ABI v0_asan
#else
#define TIDEPOOL_ABI v0
#endif

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

#if defined(TIDEPOOL_HARDENED)
inline constexpr bool hardened = true;
#else
inline constexpr bool hardened = false;
#endif

#if defined(TIDEPOOL_CHAOS)
inline constexpr bool chaotic = true;
#else
inline constexpr bool chaotic = false;
#endif

// Whether assertions, the order of locks and all invariants are checked. Not in the hardened shim that users get: it
// checks their programs, and not itself.
#if defined(TIDEPOOL_RELEASED)
inline constexpr bool checked = chaotic;
#else
inline constexpr bool checked = hardened || chaotic;
#endif

#if defined(TIDEPOOL_ASAN)
inline constexpr bool poisoning = true;
#else
inline constexpr bool poisoning = false;
#endif

// Two cache lines: the adjacent-line prefetcher pulls them in pairs, so one line is not enough to keep apart what
// different threads write.
inline constexpr std::size_t apart = 128;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

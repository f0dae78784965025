// In builds that check: how many pins the calling thread has (src/cache/pin.hpp), so that a call to a source or an
// upstream can assert that there is none. Nothing in other builds.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace pinned {

#if defined(TIDEPOOL_CHAOS) || (defined(TIDEPOOL_HARDENED) && !defined(TIDEPOOL_RELEASED))
inline constinit thread_local unsigned pins __attribute__((tls_model("initial-exec"))) = 0;
inline void enter() noexcept { ++pins; }
inline void leave() noexcept { --pins; }
inline unsigned count() noexcept { return pins; }
#else
inline void enter() noexcept {}
inline void leave() noexcept {}
constexpr unsigned count() noexcept { return 0; }
#endif

}  // namespace pinned
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

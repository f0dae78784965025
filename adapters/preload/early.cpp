// The resolver of an IFUNC in the program may call malloc, and with LD_BIND_NOW does so before the loader has given
// thread-local variables their first values: they are all zero. This file has an IFUNC of our own, whose resolver runs
// when this library is relocated, which is before the program is. The loader gives the variable the same value again.
#include "base/thread_slots.hpp"

#include <tidepool/detail/config.hpp>

#if defined(__GLIBC__)

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace {

using function = void();

void does_nothing() {}

}  // namespace

extern "C" {
// Not static, or clang does not find it by this name.
function* tidepool_before_thread_locals() {
    detail::thread_slots::stand_in();
    return does_nothing;
}
[[gnu::ifunc("tidepool_before_thread_locals")]] static void tidepool_resolved_early();
}

namespace {

// So that there is something to resolve.
[[gnu::constructor]] void call_it() { tidepool_resolved_early(); }

}  // namespace

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

#endif

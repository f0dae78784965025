#include "base/thread_id.hpp"

#include <sys/syscall.h>
#include <unistd.h>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::uint32_t asking = UINT32_MAX;  // a hook of syscall() may allocate

constinit thread_local std::uint32_t known __attribute__((tls_model("initial-exec"))) = 0;

}  // namespace

std::uint32_t thread_id() noexcept {
    if (known == 0) {
        known = asking;
        known = static_cast<std::uint32_t>(::syscall(SYS_gettid));
    }
    return known;
}

void renew_thread_id() noexcept {
    known = 0;
    static_cast<void>(thread_id());
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

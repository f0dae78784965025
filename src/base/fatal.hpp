// The end of a program that misused the pool: one line to stderr, then abort(). Allocates nothing. Any thread.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// `format` as printf's, without "tidepool: " and the newline; 250 bytes at most are shown.
[[noreturn, gnu::cold, gnu::format(printf, 1, 2)]] void fatal(const char* format, ...) noexcept;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

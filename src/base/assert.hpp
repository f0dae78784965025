// What must hold whoever uses the library: checked in the hardened and the chaos build, nothing in others.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// One line to stderr with the place, the condition and the message, then abort(). Any thread.
[[noreturn, gnu::cold, gnu::format(printf, 4, 5)]] void assertion_failed(const char* file, int line,
                                                                         const char* condition, const char* format,
                                                                         ...) noexcept;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// TIDEPOOL_ASSERT(condition, "message as printf's", arguments...). The condition is not evaluated where nothing checks.
#define TIDEPOOL_ASSERT(condition, ...)                                                                 \
    do {                                                                                                \
        if constexpr (::tidepool::detail::checked)                                                      \
            if (!(condition)) [[unlikely]]                                                              \
                ::tidepool::detail::assertion_failed(__FILE_NAME__, __LINE__, #condition, __VA_ARGS__); \
    } while (false)

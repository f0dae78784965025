// Throws, or in a build without exceptions ends the program.
#pragma once

#include "base/fatal.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <class Error>
[[noreturn]] void raise(const Error& error) {
#if defined(__cpp_exceptions)
    throw error;
#else
    fatal("%s", error.what());
#endif
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

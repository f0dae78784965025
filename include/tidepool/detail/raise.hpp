// How an error leaves a header, so that programs without exceptions can include it; and what an upstream has thrown on
// its way through the engine, which has none. In a library built without exceptions, what would be thrown ends the
// program with its message.
#pragma once

#include <tidepool/detail/config.hpp>

#if defined(__cpp_exceptions)
#define TIDEPOOL_TRY try
#define TIDEPOOL_CATCH_ALL catch (...)
#else
#define TIDEPOOL_TRY if constexpr (true)
#define TIDEPOOL_CATCH_ALL else
#endif

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// std::bad_array_new_length.
[[noreturn]] void raise_bad_length();

// There was no memory for the calling thread's request: what the upstream has thrown since forget_thrown(), or
// std::bad_alloc.
[[noreturn]] void raise_no_memory();
void forget_thrown() noexcept;
// In a handler: keeps what was thrown for raise_no_memory().
void keep_thrown() noexcept;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

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

// While the calling thread has one, what its upstreams throw is kept for raise_no_memory(); at its end it is forgotten.
class keeping_thrown {
public:
    keeping_thrown() noexcept;
    ~keeping_thrown();
    keeping_thrown(const keeping_thrown&) = delete;
    keeping_thrown& operator=(const keeping_thrown&) = delete;

private:
    const bool before_;
};
// In a handler around an upstream's code.
void keep_thrown() noexcept;

// There was no memory for a request: throws what was kept, or std::bad_alloc.
[[noreturn]] void raise_no_memory();

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

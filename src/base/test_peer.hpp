// What lets a test corrupt a class, to see its check() find that.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// A friend of the subject; specialized by the subject's test, and nowhere else.
template <class Subject>
struct test_peer;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

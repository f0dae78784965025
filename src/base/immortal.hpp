// A process-wide object that is there before the first constructor runs and after the last destructor has run.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// For constinit variables: `it` is made at compile time and never destroyed.
template <class T>
union immortal {
    T it;

    template <class... Arguments>
    constexpr explicit immortal(Arguments... arguments) noexcept : it(arguments...) {}
    constexpr ~immortal() {}  // NOLINT(modernize-use-equals-default): it would be deleted
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

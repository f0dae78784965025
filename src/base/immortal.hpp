// A process-wide object that is there before the first constructor runs and after the last destructor has run.
#pragma once

#include <tidepool/detail/config.hpp>

namespace tidepool::inline TIDEPOOL_ABI::detail {

// For constinit variables: `it` is made at compile time and never destroyed.
template <class T>
union immortal {
    T it;

    constexpr immortal() noexcept : it() {}
    constexpr ~immortal() {}
};

}  // namespace tidepool::inline TIDEPOOL_ABI::detail

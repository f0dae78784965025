// Turns the chaos build's random drops and steals off, for tests that count exact hits.
#pragma once

#include "base/chaos.hpp"

namespace support {

// At most one exists at a time; it affects all threads. It does nothing outside the chaos build.
class calm {
public:
    calm() noexcept { set(false); }
    ~calm() { set(true); }
    calm(const calm&) = delete;
    calm& operator=(const calm&) = delete;

private:
    static void set([[maybe_unused]] bool on) noexcept {
        if constexpr (tidepool::detail::chaotic) tidepool::detail::enable_chaos(on);
    }
};

}  // namespace support

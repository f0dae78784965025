// No dice for a while: for tests that count exact hits, which the chaos build would upset.
#pragma once

#include "base/chaos.hpp"

namespace support {

// One at a time, for all threads; nothing outside the chaos build.
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

// The lines of the table that tick-hold-up makes: for the driver that adds them and the targets that look for them.
#pragma once

namespace bench {

inline constexpr const char* hold_up_name = "tick-hold-up";
inline constexpr unsigned hold_up_threads = 2;

inline constexpr const char* hold_up_p999 = "tick-99.9%";
inline constexpr const char* hold_up_with_tick = "tick-longest";
inline constexpr const char* hold_up_with_tick_all = "tick-switched";
inline constexpr const char* hold_up_calm = "tick-any-longest";
inline constexpr const char* hold_up_all = "tick-any-switched";
inline constexpr const char* hold_up_share = "tick-share";

}  // namespace bench

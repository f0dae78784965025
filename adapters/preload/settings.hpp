// The shim's settings in the environment: TIDEPOOL_OPTIONS="name=value,name=value", and TIDEPOOL_<NAME>=value, which
// takes precedence.
#pragma once

#include <array>
#include <climits>

#include "base/limits.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

// name, default, least, most, meaning
#define TIDEPOOL_PRELOAD_SETTINGS(X)                                                                             \
    X(decay_ms, detail::limits::decay_interval_default.count(), 0, detail::limits::decay_interval_max.count(),   \
      "age of a tick in milliseconds; 0: only by malloc_trim()")                                                 \
    X(local_bytes, detail::limits::shim_local_bytes_default, 0, LONG_MAX,                                        \
      "idle bytes of a thread beyond its magazines, which hold up to 768 KiB")                                   \
    X(depot_bytes, detail::limits::depot_bytes_default, 0, LONG_MAX,                                             \
      "idle bytes beyond those for any thread, or a sixteenth of what the process has in small blocks; 0: none") \
    X(idle_bytes, detail::limits::idle_bytes_default, 0, LONG_MAX,                                               \
      "memory without a block in use that is kept for two ticks at most; as much again of large blocks")         \
    X(ignore_size, 0, 0, 1, "1: a hardened build does not stop at wrong sizes in sized delete")                  \
    X(background, 0, 0, 1, "1: a thread of its own ticks, so that an idle process gives memory back, too")

struct settings {
#define TIDEPOOL_PRELOAD_FIELD(name, by_default, least, most, meaning) long name = by_default;
    TIDEPOOL_PRELOAD_SETTINGS(TIDEPOOL_PRELOAD_FIELD)
#undef TIDEPOOL_PRELOAD_FIELD

    // stats: 0, 1 (to stderr at exit), or the file to write as JSON at exit; "%p" in its name is the process id.
    bool stats = false;
    // Empty: stderr. Beside the other settings, whose page every process writes to.
    static inline constinit std::array<char, PATH_MAX> stats_file{};

    // Reads the environment. A wrong name or value is reported by a line on stderr and leaves the default. Set-user-id
    // programs write no file. Allocates nothing.
    void read() noexcept;
};

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

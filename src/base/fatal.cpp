#include "base/fatal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

void fatal(const char* format, ...) noexcept {
    char line[256] = "tidepool: ";
    constexpr int prefix = 10, room = static_cast<int>(sizeof line) - prefix - 1;
    std::va_list arguments;
    va_start(arguments, format);
    const int wanted = std::vsnprintf(line + prefix, room, format, arguments);
    va_end(arguments);
    const int length = prefix + std::clamp(wanted, 0, room - 1);
    line[length] = '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line, static_cast<std::size_t>(length) + 1);
    std::abort();
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

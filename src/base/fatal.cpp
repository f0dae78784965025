#include "base/fatal.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "base/assert.hpp"
#include "base/uncancelled.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

// A line that is cut off where it is full. Allocates nothing.
class last_line {
public:
    void add(const char* format, std::va_list arguments) noexcept {
        const std::size_t room = text_.size() - 1 - length_;  // for what vsnprintf() ends it with, and we replace
        const int wanted = std::vsnprintf(text_.data() + length_, room, format, arguments);
        if (wanted > 0) length_ += std::min(static_cast<std::size_t>(wanted), room - 1);
    }
    [[gnu::format(printf, 2, 3)]] void add(const char* format, ...) noexcept {
        std::va_list arguments;
        va_start(arguments, format);
        add(format, arguments);
        va_end(arguments);
    }
    [[noreturn]] void abort() noexcept {
        text_[length_++] = '\n';
        [[maybe_unused]] const auto written = uncancelled::write(STDERR_FILENO, text_.data(), length_);
        std::abort();
    }

private:
    std::array<char, 256> text_{};
    std::size_t length_ = 0;
};

}  // namespace

void fatal(const char* format, ...) noexcept {
    last_line line;
    line.add("tidepool: ");
    std::va_list arguments;
    va_start(arguments, format);
    line.add(format, arguments);
    va_end(arguments);
    line.abort();
}

void assertion_failed(const char* file, int line, const char* condition, const char* format, ...) noexcept {
    last_line all;
    all.add("tidepool: %s:%d: %s: ", file, line, condition);
    std::va_list arguments;
    va_start(arguments, format);
    all.add(format, arguments);
    va_end(arguments);
    all.abort();
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

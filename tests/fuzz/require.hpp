// How a fuzzer fails: with a line, and by the signal that libFuzzer reports with the input that led to it.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace fuzz {

[[gnu::format(printf, 2, 3)]] inline void require(bool holds, const char* what, ...) noexcept {
    if (holds) [[likely]]
        return;
    std::va_list arguments;
    va_start(arguments, what);
    std::fputs("fuzz: not so: ", stderr);
    std::vfprintf(stderr, what, arguments);
    std::fputc('\n', stderr);
    va_end(arguments);
    std::abort();
}

}  // namespace fuzz

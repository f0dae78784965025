// What the contract tests share. They know nothing of Tidepool: the same program tests any malloc, libc's above all, so
// that a wrong test fails there.
//
// Promises that only the shim makes are tested if TIDEPOOL_TESTS_SHIM is set in the environment by whoever starts the
// program; the program never guesses.
#pragma once

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <malloc.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <tidepool/detail/config.hpp>

namespace contract {

inline bool shim_promises() {
    const char* asked = std::getenv("TIDEPOOL_TESTS_SHIM");
    return asked && *asked;
}

// This depends on the backing allocator.
inline bool shim_is(const char* flavour) {
    const char* asked = std::getenv("TIDEPOOL_TESTS_SHIM");
    return asked && std::strcmp(asked, flavour) == 0;
}

// Whether it is the hardened one, which lets a program use what it asked for and no more.
inline bool shim_is_hardened() { return shim_promises() && (tidepool::detail::hardened || shim_is("hardened")); }

// Hides a value from the compiler, which knows malloc and would warn, fold constants or remove calls.
template <class T>
T opaque(T value) {
    asm volatile("" : "+r"(value) : : "memory");
    return value;
}

inline constexpr std::size_t kib = 1024, mib = 1024 * 1024;
inline constexpr std::size_t pooled_bytes_max = 32 * kib;
inline constexpr std::size_t ptrdiff_max = PTRDIFF_MAX, size_max = SIZE_MAX;
inline constexpr std::size_t address_space = std::size_t{1} << 48;  // at least a program's

// The shim's size classes, stated independently: steps of 16 bytes up to 128, then eight steps per doubling.
inline std::vector<std::size_t> class_limits() {
    std::vector<std::size_t> limits;
    for (std::size_t bytes = 16; bytes <= 128; bytes += 16) limits.push_back(bytes);
    for (std::size_t base = 128; base < pooled_bytes_max; base *= 2)
        for (std::size_t step = 1; step <= 8; ++step) limits.push_back(base + base / 8 * step);
    return limits;
}

// Sizes at which the behaviour changes, and some large sizes.
inline std::vector<std::size_t> edge_sizes() {
    std::vector<std::size_t> sizes{0, 1, 7, 8, 9};
    for (const std::size_t limit : class_limits()) sizes.insert(sizes.end(), {limit - 1, limit, limit + 1});
    sizes.insert(sizes.end(),
                 {40'000, 64 * kib - 1, 64 * kib, 64 * kib + 1, 128 * kib, 256 * kib + 1, mib, 3 * mib + 5});
    return sizes;
}

// Sizes larger than any malloc may serve or than the address space.
inline std::vector<std::size_t> impossible_sizes() {
    return {address_space + 1, ptrdiff_max / 2, ptrdiff_max - 1, ptrdiff_max, ptrdiff_max + 1,
            size_max - 4096,   size_max - 16,   size_max - 1,    size_max};
}

// Makes the call with a known errno; `error` is the errno after it.
inline constexpr int untouched = 12345;
template <class Result>
struct outcome {
    Result result;
    int error;
};
template <class Call>
auto with_errno(Call call) -> outcome<decltype(call())> {
    errno = untouched;
    const auto result = call();
    return {result, errno};
}

inline bool is_aligned(const void* p, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// A pattern that differs between blocks and between offsets.
inline unsigned char pattern(std::size_t i, std::size_t seed) {
    return static_cast<unsigned char>(i * 7 + i / 251 + seed * 31 + 1);
}
inline void fill(void* p, std::size_t bytes, std::size_t seed) {
    auto* at = static_cast<unsigned char*>(opaque(p));
    for (std::size_t i = 0; i < bytes; ++i) at[i] = pattern(i, seed);
}
inline bool is_filled(const void* p, std::size_t bytes, std::size_t seed) {
    const auto* at = static_cast<const unsigned char*>(opaque(p));
    for (std::size_t i = 0; i < bytes; ++i)
        if (at[i] != pattern(i, seed)) return false;
    return true;
}
inline bool is_zero(const void* p, std::size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(opaque(p));
    for (std::size_t i = 0; i < bytes; ++i)
        if (at[i] != 0) return false;
    return true;
}

// A function that not every libc declares; null if it does not exist.
template <class Function>
Function* by_name(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace contract

// splitmix64 by Sebastiano Vigna: numbers that look random, from a word of state.
#pragma once

#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Its finalizer: each bit of the result depends on all bits of `z`.
constexpr std::uint64_t splitmix_mix(std::uint64_t z) noexcept {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

// By which the state grows.
inline constexpr std::uint64_t splitmix_step = 0x9E3779B97F4A7C15U;

// The next number.
constexpr std::uint64_t splitmix64(std::uint64_t& state) noexcept { return splitmix_mix(state += splitmix_step); }

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

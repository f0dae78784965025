// Random numbers for benches: a few instructions a number, the same sequence for every contestant.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// splitmix64 by Sebastiano Vigna.
class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t roll() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

private:
    std::uint64_t state_;
};

// 32 random bits, scaled to 0 .. below - 1.
inline std::uint32_t scaled(std::uint64_t bits, std::uint32_t below) {
    return static_cast<std::uint32_t>(((bits & 0xffffffff) * below) >> 32);
}

// Sizes as the mixed benches take them: from `least` to `most` bytes, each as likely.
struct size_range {
    std::uint32_t least, most;
    std::size_t of(std::uint64_t bits) const { return least + scaled(bits, most - least + 1); }
};

}  // namespace bench

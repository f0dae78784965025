// What a fuzzer is given, read as numbers. When it is at its end, all further bytes are zero.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace fuzz {

class bytes {
public:
    bytes(const std::uint8_t* data, std::size_t size) noexcept : at_(data), end_(data + size) {}

    bool done() const noexcept { return at_ == end_; }
    std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

    std::uint8_t next() noexcept { return done() ? std::uint8_t{0} : *at_++; }
    std::size_t below(std::size_t bound) noexcept { return next() % bound; }
    std::size_t two() noexcept { return static_cast<std::size_t>(next()) | static_cast<std::size_t>(next()) << 8; }
    std::uint64_t eight() noexcept {
        std::uint64_t all = 0;
        for (unsigned i = 0; i < 64; i += 8) all |= static_cast<std::uint64_t>(next()) << i;
        return all;
    }
    template <class T, std::size_t N>
    T one_of(const std::array<T, N>& choices) noexcept {
        return choices[below(N)];
    }

    // Up to the next `separator`, which is passed over, or to the end.
    std::string text(std::uint8_t separator) {
        const std::uint8_t* const found = std::find(at_, end_, separator);
        std::string all(at_, found);
        at_ = found == end_ ? end_ : found + 1;
        return all;
    }

    // Sizes of requests: small ones, and those around the limits of blocks, above all.
    std::size_t size() noexcept {
        switch (const std::uint8_t kind = next(); kind % 8) {
            case 5:
                return two() % 4096;
            case 6:
                return two();
            case 7:
                return kind == 255 ? two() * 64 : 32768 - 128 + std::size_t{next()};
            default:
                return next();
        }
    }

    // A power of two, mostly a common one.
    std::size_t alignment() noexcept {
        const std::uint8_t kind = next();
        return std::size_t{1} << (kind < 192 ? kind % 5 : kind % 15);
    }

private:
    const std::uint8_t* at_;
    const std::uint8_t* const end_;
};

}  // namespace fuzz

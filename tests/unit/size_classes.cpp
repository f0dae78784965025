// src: include/tidepool/detail/size_classes.hpp
#include <tidepool/detail/size_classes.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace detail = tidepool::detail;

TEST_CASE("class sizes are multiples of 16, include each power of two and end at 32 KiB") {
    for (std::uint32_t c = 0; c < detail::size_class_count; ++c) {
        CHECK(detail::size_class_bytes(c) % 16 == 0);
        if (c > 0) CHECK(detail::size_class_bytes(c) > detail::size_class_bytes(c - 1));
    }
    CHECK(detail::size_class_bytes(0) == 16);
    CHECK(detail::size_class_bytes(detail::size_class_count - 1) == 32768);
    for (std::size_t power = 16; power <= 32768; power *= 2)
        CHECK(detail::size_class_bytes(detail::size_class_of(power, 16)) == power);
}

TEST_CASE("table and formula both yield the smallest class that fits a request") {
    std::uint32_t expected = 0;
    for (std::size_t bytes = 0; bytes <= detail::pooled_bytes_max; ++bytes) {
        if (bytes > detail::size_class_bytes(expected)) ++expected;
        CAPTURE(bytes);
        // Plain comparisons first, since a CHECK for each of 32 K sizes takes long.
        if (detail::size_class_of(bytes, 1) != expected || detail::size_class_of(bytes, 16) != expected ||
            detail::size_class_computed(bytes) != expected) {
            CHECK(detail::size_class_of(bytes, 1) == expected);
            CHECK(detail::size_class_of(bytes, 16) == expected);
            CHECK(detail::size_class_computed(bytes) == expected);
        }
    }
    CHECK(expected == detail::size_class_count - 1);
}

TEST_CASE("class steps are 16 bytes up to 128; above that less than an eighth is waste") {
    for (std::uint32_t c = 1; c < 8; ++c) CHECK(detail::size_class_bytes(c) - detail::size_class_bytes(c - 1) == 16);
    for (std::size_t bytes = 128; bytes <= detail::pooled_bytes_max; ++bytes) {
        const std::size_t waste = detail::size_class_bytes(detail::size_class_of(bytes, 1)) - bytes;
        if (waste * 8 > bytes) CHECK_MESSAGE(false, bytes, " bytes waste ", waste);
    }
}

TEST_CASE("an aligned request gets the smallest class with that alignment") {
    for (std::size_t alignment = 1; alignment <= detail::pooled_alignment_max; alignment *= 2)
        for (std::size_t bytes = 0; bytes <= detail::pooled_bytes_max; bytes += bytes < 600 ? 1 : 61) {
            const std::uint32_t c = detail::size_class_of(bytes, alignment);
            std::uint32_t best = 0;
            while (detail::size_class_bytes(best) < bytes || detail::size_class_bytes(best) % alignment != 0) ++best;
            if (c != best) CHECK_MESSAGE(c == best, bytes, " bytes aligned to ", alignment);
        }
}

TEST_CASE("a request too large or too strictly aligned has no class") {
    CHECK(detail::size_class_of(detail::pooled_bytes_max, 1) == detail::size_class_count - 1);
    CHECK(detail::size_class_of(detail::pooled_bytes_max, 4096) == detail::size_class_count - 1);
    for (const std::size_t alignment : {std::size_t{1}, std::size_t{16}, std::size_t{32}, std::size_t{4096}}) {
        CHECK(detail::size_class_of(detail::pooled_bytes_max + 1, alignment) == detail::no_size_class);
        CHECK(detail::size_class_of(SIZE_MAX, alignment) == detail::no_size_class);
        CHECK(detail::size_class_of(SIZE_MAX - 4096, alignment) == detail::no_size_class);
    }
    for (std::size_t alignment = 8192; alignment != 0; alignment *= 2) {
        CHECK(detail::size_class_of(1, alignment) == detail::no_size_class);
        CHECK(detail::size_class_of(0, alignment) == detail::no_size_class);
    }
}

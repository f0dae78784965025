// src: source/region.hpp
#include "source/region.hpp"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"

namespace {

using tidepool::detail::region;

constexpr std::size_t slot = region::slot_bytes;
constexpr std::size_t none = static_cast<std::size_t>(-1);

// A region's addresses are never read.
std::byte* const base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);

// A region as an array of used slots: the first place at a multiple of the power of two, within 64 slots.
struct model {
    std::vector<bool> used;

    std::size_t take(std::size_t count) {
        for (std::size_t at = 0; at + count <= used.size(); at += std::bit_ceil(count)) {
            std::size_t n = 0;
            while (n < count && !used[at + n]) ++n;
            if (n < count || at / 64 != (at + count - 1) / 64) continue;
            mark(at, count, true);
            return at;
        }
        return none;
    }
    void mark(std::size_t at, std::size_t count, bool as) {
        for (std::size_t i = at; i < at + count; ++i) used[i] = as;
    }
    std::size_t free() const {
        std::size_t n = 0;
        for (const bool u : used) n += !u;
        return n;
    }
};

}  // namespace

TEST_CASE("a region cuts and takes back spans as a model does") {
    support::rng random = support::make_rng();
    for (const std::size_t slots : {1U, 8U, 63U, 64U, 100U, 512U}) {
        CAPTURE(slots);
        region r = region::of(base, slots * slot);
        model m{std::vector<bool>(slots)};
        std::vector<std::pair<std::size_t, std::size_t>> out;
        for (std::size_t i = 0; i < support::scaled(20'000); ++i) {
            if (out.empty() || random() % 2) {
                const std::size_t count = random() % 4 ? std::size_t{1} << random() % 3 : 1 + random() % 64;
                const std::size_t at = m.take(count);
                void* p = r.take(count * slot);
                REQUIRE(p == (at == none ? nullptr : base + at * slot));
                if (p) out.emplace_back(at, count);
            } else {
                std::swap(out[random() % out.size()], out.back());
                const auto [at, count] = out.back();
                out.pop_back();
                m.mark(at, count, false);
                r.give(base + at * slot, count * slot);
            }
            REQUIRE(r.free == m.free());
            REQUIRE(r.all_free() == out.empty());
            if (i % 16 == 0) r.check();
        }
    }
}

TEST_CASE("a region holds its own addresses only") {
    const region r = region::of(base, 3 * slot);
    CHECK(r.holds(base));
    CHECK(r.holds(base + 3 * slot - 1));
    CHECK_FALSE(r.holds(base + 3 * slot));
    CHECK_FALSE(r.holds(base - 1));
}

TEST_CASE("check() finds a wrong count of slots, and room that is denied") {
    region r = region::of(base, 8 * slot);
    r.check();
    CHECK(support::died([&] {
              r.used[0] ^= 1;
              r.check();
          }).said("free slots and counts"));
    CHECK(support::died([&] {
              r.too_many = 2;
              r.check();
          }).said("says that it has not"));
}

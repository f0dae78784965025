// src: source/region_set.hpp
#include "source/region_set.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "died.hpp"

namespace {

using tidepool::detail::region, tidepool::detail::region_set;

constexpr std::size_t mib = std::size_t{1} << 20, all = static_cast<std::size_t>(-1);

// A region's addresses are never read.
std::byte* const base = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);

// Takes the next region that is to go after what has expired is emptied.
region* empty_all(region_set& s) {
    for (;;) {
        const region_set::claim pages = s.take_expired(all);
        if (!pages.in) return nullptr;
        if (region* gone = s.give_emptied(pages)) return gone;
    }
}

}  // namespace

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<region_set> {
    static void mark_page(region_set& s) { s.open_.first()->words[0].used ^= 1; }
    static void forget_expired(region_set& s) { s.expiring_.remove(*s.expiring_.first()); }
    static void close_region(region_set& s) { s.open_.remove(*s.open_.first()); }
    static void keep_used(region_set& s) { s.reserve_ = s.open_.first(); }
    static void miscount_mapped(region_set& s) { ++s.mapped_; }
    static void miscount_expired(region_set& s) { s.expired_ = 1; }
    static void hide(region_set& s) { s.open_.first()->base += region::bytes_max; }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

TEST_CASE("the first region serves as long as it has room, then the next") {
    const auto s = std::make_unique<region_set>();
    CHECK(s->take(mib, false, nullptr) == nullptr);
    REQUIRE(s->add(base + 8 * mib, mib));
    REQUIRE(s->add(base, 2 * mib));
    CHECK(s->mapped() == 3 * mib);
    CHECK(s->take(mib / 2, false, nullptr) == base + 8 * mib);
    CHECK(s->take(mib, false, nullptr) == base);
    CHECK(s->take(mib / 2, false, nullptr) == base + 8 * mib + mib / 2);
    // Of two with room, the one that was full.
    CHECK(s->take(mib, false, nullptr) == base + mib);
    CHECK(s->give(base + mib, mib, region::as::idle));
    CHECK(s->give(base + 8 * mib, mib / 2, region::as::idle));
    CHECK(s->take(1, false, nullptr) == base + 8 * mib);
    s->check();
}

TEST_CASE("regions are found by any of their addresses, across a border of 32 MiB too") {
    const auto s = std::make_unique<region_set>();
    std::byte* const late = base + region::bytes_max - mib;
    REQUIRE(s->add(late, 4 * mib));
    CHECK(s->take(1, false, nullptr) == late);
    CHECK(s->holds(late));
    CHECK(s->holds(late + 4 * mib - 1));
    CHECK_FALSE(s->holds(late - 1));
    CHECK_FALSE(s->holds(late + 4 * mib));
    CHECK_FALSE(s->give(base, 1, region::as::idle));
    CHECK_FALSE(s->resize(base, 1, 2));
    s->check();
}

TEST_CASE("of the regions that are emptied one is kept") {
    const auto s = std::make_unique<region_set>();
    for (std::size_t i = 0; i < 2; ++i) {
        REQUIRE(s->add(base + i * 64 * mib, mib));
        REQUIRE(s->take(mib, false, nullptr) == base + i * 64 * mib);
    }
    for (std::size_t i = 0; i < 2; ++i) CHECK(s->give(base + i * 64 * mib, mib, region::as::idle));
    CHECK(s->take_expired(all).in == nullptr);
    s->age(false);
    s->age(false);
    CHECK(s->expired() == 2 * mib);
    region* gone = empty_all(*s);
    REQUIRE(gone);
    CHECK(s->mapped() == mib);
    s->retire(*gone);
    CHECK(empty_all(*s) == nullptr);
    s->check();
    gone = s->take_reserve();
    REQUIRE(gone);
    s->retire(*gone);
    CHECK(s->take_reserve() == nullptr);
    CHECK(s->mapped() == 0);
    s->check();
    // The records are used again.
    REQUIRE(s->add(base, mib));
    CHECK(s->take(1, true, nullptr) == base);
    s->check();
}

TEST_CASE("check() finds pages, sums and lists of regions that are wrong") {
    using peer = tidepool::detail::test_peer<region_set>;
    const auto s = std::make_unique<region_set>();
    REQUIRE(s->add(base, mib));
    const auto said = [&](auto corrupt, const char* words) {
        return support::died([&] {
                   corrupt(*s);
                   s->check();
               })
            .said(words);
    };
    s->take(mib / 2, false, nullptr);
    CHECK(said(peer::mark_page, "free pages and counts"));
    CHECK(said(peer::close_region, "the lists of regions"));
    CHECK(said(peer::keep_used, "the reserve"));
    CHECK(said(peer::miscount_mapped, "bytes and"));
    CHECK(said(peer::hide, "in the wrong bucket"));
    s->give(base, mib / 4, region::as::expired);
    CHECK(said(peer::forget_expired, "the lists of regions"));
    CHECK(said(peer::miscount_expired, "expired bytes and count"));
    s->check();
}

// src: source/page_map.hpp
#include "source/page_map.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/pages.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "source/spans.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;
namespace page_map = tidepool::detail::page_map;

namespace {

// Reserved address space, so that no pool's span can be in it. The map never reads the memory itself.
class ground {
public:
    explicit ground(std::size_t pages) : bytes_(pages * page_map::page) {
        base_ = static_cast<std::byte*>(detail::map_pages(bytes_, page_map::page));
        REQUIRE(base_);
    }
    ~ground() { detail::unmap_pages(base_, bytes_); }
    std::byte* page(std::size_t i) const { return base_ + i * page_map::page; }

private:
    std::byte* base_ = nullptr;
    std::size_t bytes_;
};

const void* at(std::uintptr_t address) { return reinterpret_cast<const void*>(address); }

}  // namespace

TEST_CASE("an address outside all spans is not found") {
    int on_stack = 0;
    for (const void* p :
         {static_cast<const void*>(nullptr), static_cast<const void*>(&on_stack), at(1), at(0xFFFF),
          at((std::uintptr_t{1} << 47) - 1), at(std::uintptr_t{1} << 47), at((std::uintptr_t{1} << 48) - 1),
          at(std::uintptr_t{1} << 48), at(std::uintptr_t{1} << 63), at(UINTPTR_MAX)})
        CHECK(page_map::find(p) == nullptr);
}

TEST_CASE("every byte of a range leads to its span, and no other byte does") {
    const ground land(8);
    detail::span s{}, neighbour{};
    REQUIRE(page_map::set(land.page(2), 3 * page_map::page, &s, 7));
    CHECK(page_map::find(land.page(2) - 1) == nullptr);
    for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, page_map::page - 1, page_map::page,
                                     2 * page_map::page, 3 * page_map::page - 1})
        CHECK(page_map::find(land.page(2) + offset) == &s);
    CHECK(page_map::find(land.page(5)) == nullptr);
    REQUIRE(page_map::set(land.page(5), page_map::page, &neighbour, 7));
    page_map::clear(land.page(2), 3 * page_map::page);
    CHECK(page_map::class_after(land.page(5)) == 8);
    CHECK(page_map::class_after(land.page(4)) == 0);
    for (std::size_t i = 0; i < 5; ++i) CHECK(page_map::find(land.page(i)) == nullptr);
    CHECK(page_map::find(land.page(5)) == &neighbour);
    page_map::clear(land.page(5), page_map::page);
}

TEST_CASE("a range may cross from one leaf of the map into the next") {
    // A leaf covers 4 GiB. Nothing is mapped there, since the map does not read it.
    detail::span s{};
    const std::uintptr_t border = std::uintptr_t{0x2345} << 32;
    REQUIRE(page_map::set(at(border - 2 * page_map::page), 4 * page_map::page, &s, 7));
    CHECK(page_map::find(at(border - 2 * page_map::page - 1)) == nullptr);
    CHECK(page_map::find(at(border - 2 * page_map::page)) == &s);
    CHECK(page_map::find(at(border - 1)) == &s);
    CHECK(page_map::find(at(border)) == &s);
    CHECK(page_map::find(at(border + 2 * page_map::page - 1)) == &s);
    CHECK(page_map::find(at(border + 2 * page_map::page)) == nullptr);
    page_map::clear(at(border - 2 * page_map::page), 4 * page_map::page);
    CHECK(page_map::find(at(border)) == nullptr);
}

TEST_CASE("a range beyond 48 bits is rejected and leaves no entry") {
    detail::span s{};
    const std::uintptr_t end = std::uintptr_t{1} << 48;
    CHECK_FALSE(page_map::set(at(end), page_map::page, &s, 7));
    CHECK_FALSE(page_map::set(at(end - page_map::page), 2 * page_map::page, &s, 7));
    CHECK(page_map::find(at(end - page_map::page)) == nullptr);
    CHECK_FALSE(page_map::set(at(UINTPTR_MAX - page_map::page + 1), page_map::page, &s, 7));
}

TEST_CASE("threads set and clear ranges concurrently, and each finds its own") {
    constexpr std::size_t threads = 4;
    const ground land(threads * 4);
    std::atomic<std::size_t> wrong{0};
    support::on_threads(threads, [&](std::size_t me) {
        detail::span s{};
        support::rng random = support::make_rng(me);
        for (std::size_t i = 0; i < support::scaled(100'000); ++i) {
            const std::size_t pages = 1 + random() % 4;
            // The pages of the threads interleave in the map's words.
            std::byte* base = land.page(me * 4);
            if (!page_map::set(base, pages * page_map::page, &s, 7)) ++wrong;
            for (std::size_t k = 0; k < 4; ++k)
                if (page_map::find(base + k * page_map::page + random() % page_map::page) != (k < pages ? &s : nullptr))
                    ++wrong;
            page_map::clear(base, pages * page_map::page);
        }
    });
    CHECK(wrong == 0);
}

TEST_CASE("threads that create the same leaf at once agree on one") {
    std::atomic<std::size_t> lost{0};
    for (std::uintptr_t round = 0; round < 20; ++round) {
        const std::uintptr_t fresh = (std::uintptr_t{0x3000} + round) << 32;
        support::on_threads(4, [&](std::size_t me) {
            detail::span s{};
            const void* mine = at(fresh + me * page_map::page);
            if (!page_map::set(mine, page_map::page, &s, 7) || page_map::find(mine) != &s) ++lost;
            page_map::clear(mine, page_map::page);
        });
    }
    CHECK(lost == 0);
}

TEST_CASE("no size class is found where no block can begin, with and without the digest") {
    const ground land(1);
    detail::span s{};
    REQUIRE(page_map::set(land.page(0), page_map::page, &s, 7));
    const auto number = reinterpret_cast<std::uintptr_t>(land.page(0)) / page_map::page;
    for (int round = 0; round < 2; ++round) {
        for (std::size_t offset = 0; offset < 2 * detail::granule; ++offset)
            CHECK(page_map::class_after(land.page(0) + offset) == (offset % detail::granule == 0 ? 8 : 0));
        page_map::digest[number % page_map::digest_lines] = 0;  // as if another page had taken the line
    }
    page_map::clear(land.page(0), page_map::page);
}

TEST_CASE("check() finds a digest entry whose class differs from the map") {
    const ground land(1);
    detail::span s{};
    REQUIRE(page_map::set(land.page(0), page_map::page, &s, 7));
    page_map::check();
    const auto number = reinterpret_cast<std::uintptr_t>(land.page(0)) / page_map::page;
    CHECK(support::died([&] {
              page_map::digest[number % page_map::digest_lines] =
                  std::uint64_t{number} << page_map::page_bits | 7 * detail::bin_stride * detail::granule;
              page_map::check();
          }).said("has blocks of size class 7, and the digest says 6"));
    page_map::clear(land.page(0), page_map::page);
    page_map::check();
}

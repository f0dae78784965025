// src: source/span_regions.hpp
#include "source/span_regions.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "base/pages.hpp"
#include "seed.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;

namespace {

// Counted pages, aligned to 64 KiB as spans are, and usually to no more.
struct below {
    static inline std::atomic<int> out{0};
    static inline bool empty = false;

    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        void* p = empty ? nullptr : detail::map_pages(bytes, alignment);
        if (p) ++out;
        return p;
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t) noexcept {
        --out;
        detail::unmap_pages(p, bytes);
    }
};

using regions = detail::span_regions<below>;
constexpr std::size_t kib = 1024, mib = kib * kib, slot = regions::slot_bytes;

}  // namespace

TEST_CASE("regions serve span sizes only") {
    CHECK(regions::serves(64 * kib, 64 * kib));
    CHECK(regions::serves(4 * mib, 64 * kib));
    CHECK_FALSE(regions::serves(0, 64 * kib));
    CHECK_FALSE(regions::serves(4 * mib + 64 * kib, 64 * kib));
    CHECK_FALSE(regions::serves(100 * kib, 64 * kib));
    CHECK_FALSE(regions::serves(64 * kib, 16));
}

TEST_CASE("the first span allocates a region, and purge() returns a free region") {
    regions r;
    CHECK(below::out == 0);
    void* p = r.allocate(slot);
    CHECK(below::out == 1);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % slot == 0);
    r.purge();
    CHECK(below::out == 1);
    CHECK(r.deallocate(p, slot));
    CHECK(below::out == 1);
    CHECK(r.allocate(slot) == p);
    CHECK(r.deallocate(p, slot));
    r.purge();
    CHECK(below::out == 0);
}

TEST_CASE("deallocate() rejects a foreign span; without memory allocate() returns null") {
    regions r;
    int other = 0;
    CHECK_FALSE(r.deallocate(&other, slot));
    below::empty = true;
    CHECK(r.allocate(slot) == nullptr);
    below::empty = false;
    void* p = r.allocate(slot);
    CHECK_FALSE(r.deallocate(&other, slot));
    CHECK(r.deallocate(p, slot));
    r.purge();
}

TEST_CASE("spans of all sizes are disjoint, and only one free region is kept") {
    support::rng random = support::make_rng();
    regions r;
    std::map<std::byte*, std::size_t> out;
    const auto take = [&](std::size_t bytes) {
        auto* p = static_cast<std::byte*>(r.allocate(bytes));
        REQUIRE(p);
        const auto after = out.lower_bound(p);
        CHECK((after == out.end() || p + bytes <= after->first));
        CHECK((after == out.begin() || std::prev(after)->first + std::prev(after)->second <= p));
        out[p] = bytes;
    };
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 2000; ++i) take(slot * (random() % 8 ? std::size_t{1} << random() % 3 : 1 + random() % 64));
        for (auto each = out.begin(); each != out.end();) {
            if (random() % 4 == 0) {
                ++each;
                continue;
            }
            REQUIRE(r.deallocate(each->first, each->second));
            each = out.erase(each);
        }
    }
    CHECK(below::out > 1);
    for (const auto& [p, bytes] : out) REQUIRE(r.deallocate(p, bytes));
    CHECK(below::out == 1);
    r.purge();
    CHECK(below::out == 0);
}

TEST_CASE("no span is ever held by two threads") {
    regions r;
    std::atomic<int> wrong{0};
    support::on_threads(4, [&](std::size_t me) {
        std::vector<std::pair<void*, std::size_t>> mine;
        for (std::size_t i = 0; i < 5000; ++i) {
            const std::size_t bytes = slot << i % 3;
            void* p = r.allocate(bytes);
            std::memset(p, static_cast<int>(me + 1), 8);
            mine.emplace_back(p, bytes);
            if (mine.size() < 200) continue;
            for (const auto& [q, size] : mine) {
                if (*static_cast<unsigned char*>(q) != me + 1) ++wrong;
                r.deallocate(q, size);
            }
            mine.clear();
        }
        for (const auto& [q, size] : mine) r.deallocate(q, size);
    });
    CHECK(wrong == 0);
    r.purge();
    CHECK(below::out == 0);
}

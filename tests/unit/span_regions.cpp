// src: source/span_regions.hpp
#include "source/span_regions.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/pages.hpp"
#include "died.hpp"
#include "seed.hpp"
#include "threads.hpp"

#include <tidepool/upstream.hpp>

namespace detail = tidepool::detail;

namespace {

// Counted pages, aligned to 64 KiB as spans are, and usually to no more.
struct backing {
    static inline std::atomic<int> out{0};
    static inline std::atomic<int> purges{0};
    static inline std::size_t bytes_max = static_cast<std::size_t>(-1);  // of one block

    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        void* p = bytes > bytes_max ? nullptr : detail::map_pages(bytes, alignment);
        if (p) ++out;
        return p;
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t) noexcept {
        --out;
        detail::unmap_pages(p, bytes);
    }
    static void purge() noexcept { ++purges; }
    static const char* name() noexcept { return "counted pages"; }
};

using regions = detail::span_regions<backing>;
constexpr std::size_t kib = 1024, mib = kib * kib, slot = regions::slot_bytes;

}  // namespace

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<regions> {
    static void mark_slot(regions& r) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        r.open_.first()->used[0] ^= 1;
        r.check();
    }
    static void forget_reserve(regions& r) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        r.reserve_ = nullptr;
        r.check();
    }
    static void close_region(regions& r) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        r.open_.remove(*r.open_.first());
        r.check();
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

TEST_CASE("regions serve span sizes only") {
    CHECK(regions::is_span(64 * kib, 64 * kib));
    CHECK(regions::is_span(4 * mib, 64 * kib));
    CHECK_FALSE(regions::is_span(0, 64 * kib));
    CHECK_FALSE(regions::is_span(4 * mib + 64 * kib, 64 * kib));
    CHECK_FALSE(regions::is_span(100 * kib, 64 * kib));
    CHECK_FALSE(regions::is_span(64 * kib, 16));
}

TEST_CASE("the first span allocates a region, and purge() returns a free region") {
    regions r;
    CHECK(backing::out == 0);
    void* p = r.allocate(slot, slot);
    CHECK(backing::out == 1);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % slot == 0);
    r.purge();
    CHECK(backing::out == 1);
    r.deallocate(p, slot, slot);
    CHECK(backing::out == 1);
    CHECK(r.allocate(slot, slot) == p);
    r.deallocate(p, slot, slot);
    r.purge();
    r.check();
    CHECK(backing::out == 0);
}

TEST_CASE("without memory for a region, a span comes from the allocator itself") {
    regions r;
    backing::bytes_max = regions::region_bytes - 1;
    void* single = r.allocate(slot, slot);
    CHECK(single != nullptr);
    backing::bytes_max = 0;
    CHECK(r.allocate(slot, slot) == nullptr);
    backing::bytes_max = static_cast<std::size_t>(-1);
    void* cut = r.allocate(slot, slot);
    CHECK(backing::out == 2);
    r.deallocate(single, slot, slot);
    CHECK(backing::out == 1);
    r.check();
    r.deallocate(cut, slot, slot);
    r.purge();
    r.check();
    CHECK(backing::out == 0);
}

TEST_CASE("blocks that are not spans are the allocator's own") {
    regions r;
    void* block = r.allocate(100, 16);
    void* large = r.allocate(regions::span_bytes_max + slot, slot);
    CHECK(backing::out == 2);
    r.deallocate(block, 100, 16);
    r.deallocate(large, regions::span_bytes_max + slot, slot);
    CHECK(backing::out == 0);
    r.check();
}

TEST_CASE("as an upstream, regions offer what their allocator offers") {
    struct batches : backing {
        static std::size_t allocate_batch(std::size_t, std::size_t, void**, std::size_t) noexcept { return 0; }
        static std::size_t good_size(std::size_t bytes) noexcept { return bytes + 8; }
    };
    regions plain;
    detail::span_regions<batches> more;
    const tidepool::upstream less(plain), all(more);
    void* out[1]{};
    CHECK(less.allocate_batch(16, 16, out, 1) == 1);
    less.deallocate(out[0], 16, 16);
    CHECK(all.allocate_batch(16, 16, out, 1) == 0);
    CHECK(less.good_size(16) == 16);
    CHECK(all.good_size(16) == 24);
    CHECK(all.heartbeat_safe());
    CHECK(all.name() == std::string("counted pages"));
    const int before = backing::purges;
    all.purge();
    CHECK(backing::purges == before + 1);
}

TEST_CASE("spans of all sizes are disjoint, and only one free region is kept") {
    support::rng random = support::make_rng();
    regions r;
    std::map<std::byte*, std::size_t> out;
    const auto take = [&](std::size_t bytes) {
        auto* p = static_cast<std::byte*>(r.allocate(bytes, slot));
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
            r.deallocate(each->first, each->second, slot);
            each = out.erase(each);
        }
        r.check();
    }
    CHECK(backing::out > 1);
    for (const auto& [p, bytes] : out) r.deallocate(p, bytes, slot);
    CHECK(backing::out == 1);
    r.purge();
    r.check();
    CHECK(backing::out == 0);
}

TEST_CASE("no span is ever held by two threads") {
    regions r;
    std::atomic<int> wrong{0};
    support::on_threads(4, [&](std::size_t me) {
        std::vector<std::pair<void*, std::size_t>> mine;
        for (std::size_t i = 0; i < 5000; ++i) {
            const std::size_t bytes = slot << i % 3;
            void* p = r.allocate(bytes, slot);
            std::memset(p, static_cast<int>(me + 1), 8);
            mine.emplace_back(p, bytes);
            if (mine.size() < 200) continue;
            for (const auto& [q, size] : mine) {
                if (*static_cast<unsigned char*>(q) != me + 1) ++wrong;
                r.deallocate(q, size, slot);
            }
            mine.clear();
        }
        for (const auto& [q, size] : mine) r.deallocate(q, size, slot);
    });
    CHECK(wrong == 0);
    r.purge();
    r.check();
    CHECK(backing::out == 0);
}

TEST_CASE("check() finds slots, a reserve and a list of regions that are wrong") {
    using peer = detail::test_peer<regions>;
    regions r;
    void* p = r.allocate(slot, slot);
    CHECK(support::died([&] { peer::mark_slot(r); }).said("free slots and counts"));
    CHECK(support::died([&] { peer::close_region(r); }).said("regions with room"));
    r.deallocate(p, slot, slot);
    CHECK(support::died([&] { peer::forget_reserve(r); }).said("is not the reserve"));
    r.check();
    r.purge();
}

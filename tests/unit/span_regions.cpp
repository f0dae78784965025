// src: source/span_regions.hpp
#include "source/span_regions.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/pages.hpp"
#include "scale.hpp"
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

// The same as mappings, and the model: what is mapped.
struct mappings {
    static constexpr bool maps_pages = true;
    static inline std::map<std::byte*, std::size_t> mapped;
    static inline std::size_t bytes_max = static_cast<std::size_t>(-1);  // of one block
    static inline std::size_t room = static_cast<std::size_t>(-1);       // for all together

    static std::size_t total() {
        std::size_t sum = 0;
        for (const auto& [p, bytes] : mapped) sum += bytes;
        return sum;
    }
    // The mapping that a block lies in; the end if it is in none.
    static auto around(const std::byte* p, std::size_t bytes) {
        auto at = mapped.upper_bound(const_cast<std::byte*>(p));
        if (at == mapped.begin()) return mapped.end();
        --at;
        return p + bytes <= at->first + at->second ? at : mapped.end();
    }

    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        if (bytes > bytes_max || total() + bytes > room) return nullptr;
        void* p = detail::map_pages(bytes, alignment);
        if (p) mapped[static_cast<std::byte*>(p)] = bytes;
        return p;
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t) noexcept {
        const auto at = mapped.find(static_cast<std::byte*>(p));
        CHECK((at != mapped.end() && at->second == bytes));
        mapped.erase(at);
        detail::unmap_pages(p, bytes);
    }
    static void purge() noexcept {}
    static const char* name() noexcept { return "mappings"; }
};

using mapped_regions = detail::span_regions<mappings>;
constexpr std::size_t kib = 1024, mib = kib * kib, slot = regions::slot_bytes;

}  // namespace

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
    backing::bytes_max = regions::region_bytes_max - 1;
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
    r.check();
    r.return_expired(static_cast<std::size_t>(-1));
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

// The pages of a block that are resident.
std::size_t resident_pages(void* p, std::size_t bytes) {
    std::vector<unsigned char> pages(bytes / detail::page_bytes());
    REQUIRE(mincore(p, bytes, pages.data()) == 0);
    return static_cast<std::size_t>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; }));
}

TEST_CASE("mapped regions begin small, double, and hold huge pages") {
    mapped_regions r;
    std::vector<void*> spans;
    for (int i = 0; i < 3000; ++i) spans.push_back(r.allocate(slot, slot));
    std::vector<std::size_t> sizes;
    for (const auto& [p, bytes] : mappings::mapped) {
        sizes.push_back(bytes);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % std::min(bytes, 2 * mib) == 0);
    }
    std::sort(sizes.begin(), sizes.end());
    const std::vector<std::size_t> expected{mib / 2,  mib / 2,  mib,      2 * mib,  4 * mib,  8 * mib,
                                            16 * mib, 32 * mib, 32 * mib, 32 * mib, 32 * mib, 32 * mib};
    CHECK(sizes == expected);
    r.check();
    for (void* p : spans) r.deallocate(p, slot, slot);
    r.purge();
    CHECK(mappings::mapped.empty());
    // A span that is larger than the region that would be next.
    void* large = r.allocate(regions::span_bytes_max, slot);
    CHECK(mappings::total() == 4 * mib);
    r.deallocate(large, regions::span_bytes_max, slot);
    r.purge();
    CHECK(mappings::mapped.empty());
}

TEST_CASE("a span of a mapped region that is freed is emptied and stays mapped") {
    mapped_regions r;
    std::vector<std::byte*> spans;
    for (int i = 0; i < 64; ++i) spans.push_back(static_cast<std::byte*>(r.allocate(2 * slot, slot)));
    for (std::byte* p : spans) std::memset(p, 1, 2 * slot);
    const std::size_t before = mappings::mapped.size();
    for (std::size_t i = 1; i < spans.size(); i += 2) r.deallocate(spans[i], 2 * slot, slot);
    CHECK(r.expired() <= 2 * mib);
    r.purge();
    CHECK(r.expired() == 0);
    CHECK(mappings::mapped.size() == before);
    for (std::size_t i = 0; i < spans.size(); ++i) {
        CHECK(resident_pages(spans[i], 2 * slot) == (i % 2 ? 0 : 2 * slot / detail::page_bytes()));
        if (i % 2 == 0) CHECK(spans[i][2 * slot - 1] == std::byte{1});
    }
    // An empty span can be populated as a fresh one.
    auto* again = static_cast<std::byte*>(r.allocate(2 * slot, slot));
    CHECK(std::find(spans.begin(), spans.end(), again) != spans.end());
    detail::populate_pages(again, 2 * slot);
    CHECK(std::count(again, again + 2 * slot, std::byte{0}) == 2 * slot);
    r.deallocate(again, 2 * slot, slot);
    for (std::size_t i = 0; i < spans.size(); i += 2) r.deallocate(spans[i], 2 * slot, slot);
    CHECK_FALSE(tidepool::upstream(r).releases());
    r.purge();
    CHECK(mappings::mapped.empty());
}

TEST_CASE("where address space is short, smaller regions are tried, then single spans") {
    mapped_regions r;
    mappings::room = 100 * mib;
    std::vector<void*> spans;
    while (void* p = r.allocate(slot, slot)) spans.push_back(p);
    CHECK(spans.size() * slot == mappings::room);
    r.check();
    CHECK(mappings::mapped.size() < 20);
    for (void* p : spans) r.deallocate(p, slot, slot);
    CHECK(r.expired() <= 2 * mib);
    // A large block takes the place of what is idle.
    void* large = r.allocate(mappings::room, 16);
    CHECK(large != nullptr);
    r.check();
    r.deallocate(large, mappings::room, 16);
    CHECK(mappings::mapped.empty());
    mappings::room = static_cast<std::size_t>(-1);
}

TEST_CASE("mapped regions are as a model has them, whatever is allocated and freed") {
    support::rng random = support::make_rng();
    mapped_regions r;
    std::map<std::byte*, std::size_t> out;
    for (std::size_t i = 0; i < support::scaled(20'000); ++i) {
        if (random() % 64 == 0)
            mappings::bytes_max = random() % 2 ? static_cast<std::size_t>(-1) : slot << random() % 10;
        if (random() % 256 == 0) r.purge();
        // Grows and shrinks in long waves.
        if (out.empty() || random() % 8 < (i / 2000 % 2 ? 3 : 5)) {
            const std::size_t bytes = slot * (random() % 4 ? std::size_t{1} << random() % 3 : 1 + random() % 64);
            auto* p = static_cast<std::byte*>(r.allocate(bytes, slot));
            if (!p) continue;
            REQUIRE(mappings::around(p, bytes) != mappings::mapped.end());
            const auto [at, fresh] = out.emplace(p, bytes);
            REQUIRE((fresh && (std::next(at) == out.end() || p + bytes <= std::next(at)->first)));
            REQUIRE((at == out.begin() || std::prev(at)->first + std::prev(at)->second <= p));
            *p = std::byte{1};
        } else {
            auto at = out.lower_bound(mappings::mapped.begin()->first + random() % (64 * mib));
            if (at == out.end()) at = out.begin();
            REQUIRE(*at->first == std::byte{1});
            r.deallocate(at->first, at->second, slot);
            out.erase(at);
        }
        if (i % 16) continue;
        std::set<std::byte*> used;
        for (const auto& [p, bytes] : out) used.insert(mappings::around(p, bytes)->first);
        r.check();
        r.return_expired(static_cast<std::size_t>(-1));
        REQUIRE(mappings::mapped.size() - used.size() <= 1);
    }
    for (const auto& [p, bytes] : out) r.deallocate(p, bytes, slot);
    mappings::bytes_max = static_cast<std::size_t>(-1);
    r.purge();
    r.check();
    CHECK(mappings::mapped.empty());
}

TEST_CASE("large blocks are whole pages that age, and serve spans as well") {
    mapped_regions r;
    auto* first = static_cast<std::byte*>(r.take(33 * kib, 16));
    auto* second = static_cast<std::byte*>(r.take(100 * kib, 64 * kib));
    CHECK(reinterpret_cast<std::uintptr_t>(second) % (64 * kib) == 0);
    CHECK(r.take(1, 16) == first + detail::whole_pages(33 * kib));
    std::memset(first, 1, 33 * kib);
    std::memset(second, 2, 100 * kib);
    CHECK(r.give(second, 100 * kib, detail::region::as::idle));
    CHECK(r.idle() == 100 * kib);
    CHECK(r.allocate(slot, slot) == second);
    CHECK(second[slot - 1] == std::byte{2});
    CHECK(r.idle() == 36 * kib);
    CHECK(r.resize(second, slot, 100 * kib));
    CHECK(r.idle() == 0);
    CHECK_FALSE(r.resize(first, 33 * kib, 41 * kib));
    CHECK(r.give(second, 100 * kib, detail::region::as::idle));
    r.age();
    CHECK(r.expired() == 0);
    r.age();
    CHECK(r.expired() == 100 * kib);
    r.check();
    r.return_expired(1);
    CHECK(resident_pages(second, 100 * kib) == 0);
    CHECK(r.expired() == 0);
    detail::region::stained with;
    CHECK(r.take(100 * kib, 64 * kib, &with) == second);
    CHECK(with.none());
    CHECK(first[33 * kib - 1] == std::byte{1});
    CHECK_FALSE(r.give(&r, 100 * kib, detail::region::as::idle));
    CHECK_FALSE(r.resize(&r, 1, 2));
    CHECK(r.holds(first));
    CHECK_FALSE(r.holds(&r));
    r.check();
}

TEST_CASE("threads take, resize and free blocks while ticks return what is idle") {
    regions r;
    std::atomic<int> wrong{0};
    std::atomic<std::size_t> at_work{3};
    support::on_threads(4, [&](std::size_t me) {
        if (me == 3) {
            for (std::size_t i = 0; at_work != 0; ++i) {
                r.age();
                r.return_expired(mib);
                if (i % 8 == 0) r.expire(mib);
                if (i % 64 == 0) r.release_idle();
                if (i % 16 == 0) r.check();
                std::this_thread::yield();
            }
            return;
        }
        struct block {
            unsigned char* p;
            std::size_t bytes;
        };
        support::rng random = support::make_rng(me);
        std::vector<block> mine;
        for (std::size_t i = 0; i < support::scaled(10'000); ++i) {
            if (mine.size() < 20 || random() % 2) {
                const std::size_t bytes = 1 + random() % (200 * kib);
                auto* p = static_cast<unsigned char*>(r.take(bytes, random() % 8 ? 16 : slot));
                p[0] = p[bytes - 1] = static_cast<unsigned char>(me + 1);
                mine.push_back({p, bytes});
                continue;
            }
            std::swap(mine[random() % mine.size()], mine.back());
            block& last = mine.back();
            if (last.p[0] != me + 1 || last.p[last.bytes - 1] != me + 1) ++wrong;
            const std::size_t bytes = 1 + random() % (200 * kib);
            if (random() % 4 == 0 && r.resize(last.p, last.bytes, bytes)) {
                if (last.p[0] != me + 1) ++wrong;
                last.bytes = bytes;
                last.p[0] = last.p[bytes - 1] = static_cast<unsigned char>(me + 1);
            } else {
                r.give(last.p, last.bytes, detail::region::as::idle);
                mine.pop_back();
            }
        }
        for (const block& each : mine) r.give(each.p, each.bytes, detail::region::as::expired);
        --at_work;
    });
    CHECK(wrong == 0);
    r.release_idle();
    r.check();
    CHECK(r.idle() + r.expired() == 0);
    CHECK(backing::out == 0);
}

TEST_CASE("one call empties the neighbourhood of an expired span") {
    mapped_regions r;
    std::vector<std::byte*> spans;
    for (int i = 0; i < 32; ++i) spans.push_back(static_cast<std::byte*>(r.allocate(slot, slot)));
    r.deallocate(spans[3], slot, slot);
    r.purge();
    // 1, 2 and 4 with the empty 3 between them, and not 6 behind the used 5.
    for (const std::size_t i : {1U, 2U, 4U, 6U}) r.deallocate(spans[i], slot, slot);
    r.return_expired(1);
    CHECK(r.expired() == slot);
    r.return_expired(1);
    CHECK(r.expired() == 0);
    r.check();
}

TEST_CASE("idle pages expire from the end when there are too many") {
    mapped_regions r;
    auto* low = static_cast<std::byte*>(r.take(300 * kib, 16));
    auto* high = static_cast<std::byte*>(r.take(300 * kib, 16));
    CHECK(r.give(low, 300 * kib, detail::region::as::idle));
    CHECK(r.give(high, 300 * kib, detail::region::as::idle));
    r.expire(200 * kib);
    CHECK(r.expired() >= 200 * kib);
    CHECK(r.take(300 * kib, 16) == low);
    CHECK(r.idle() + r.expired() == 300 * kib);
    r.expire(mib);
    CHECK(r.idle() == 0);
    CHECK(r.release_idle());  // the region of the second block
    r.check();
}

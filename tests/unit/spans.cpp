// src: source/spans.hpp
#include "source/spans.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "base/arena.hpp"
#include "base/poison.hpp"
#include "counting_upstream.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"

#include <tidepool/detail/size_classes.hpp>

namespace detail = tidepool::detail;
namespace page_map = tidepool::detail::page_map;

namespace {

constexpr detail::block_sizes all_sizes{.count = detail::size_class_count};

// Spans over a counting upstream.
struct kit {
    support::counting_upstream books;
    detail::arena records;
    detail::metered_upstream below{tidepool::upstream(books)};
    detail::spans from{all_sizes, below, records};
    kit() { REQUIRE(from.set_up()); }

    std::vector<void*> get(std::uint32_t size_class, std::size_t count) {
        std::vector<void*> blocks(count);
        blocks.resize(from.refill(size_class, blocks.data(), count, detail::growth::beyond_peak));
        return blocks;
    }
    void put(std::uint32_t size_class, std::vector<void*> blocks) {
        from.drain(size_class, blocks.data(), blocks.size(), true);
        from.return_expired(blocks.size());
    }
};

// Writes to all bytes of a block in use.
void use(void* block, std::size_t bytes, int value) {
    detail::unpoison(block, bytes);
    std::memset(block, value, bytes);
}

}  // namespace

TEST_CASE("a span holds at least eight aligned blocks and wastes little at its end") {
    const auto fits = [](std::size_t block_bytes) {
        const auto shape = detail::span_shape::of(block_bytes);
        CAPTURE(block_bytes);
        CHECK(shape.span_bytes % detail::page_map::page == 0);
        CHECK(shape.span_bytes > 0);
        CHECK(shape.blocks * block_bytes <= shape.span_bytes);
        CHECK((shape.blocks + 1) * block_bytes > shape.span_bytes);
        CHECK(shape.blocks >= (block_bytes > detail::page_map::page / 2 ? 4 : 8));
        return shape;
    };
    for (std::uint32_t c = 0; c < detail::size_class_count; ++c) {
        const std::size_t bytes = detail::size_class_bytes(c);
        const auto shape = fits(bytes);
        CHECK(shape.span_bytes - shape.blocks * bytes <= shape.span_bytes / 8);
        CHECK(shape.span_bytes <= 256 * 1024);
    }
    // Sizes of block pools: any multiple of 16 up to 1 MiB.
    for (std::size_t bytes = 16; bytes <= 1024 * 1024; bytes += bytes < 4096 ? 16 : 4096 - 16) fits(bytes);
}

TEST_CASE("blocks of every class are distinct, aligned and inside upstream memory") {
    kit k;
    for (std::uint32_t c = 0; c < detail::size_class_count; ++c) {
        const std::size_t bytes = detail::size_class_bytes(c);
        CAPTURE(bytes);
        const std::size_t count = 2 * detail::span_shape::of(bytes).blocks + 3;
        std::vector<void*> blocks = k.get(c, count);
        REQUIRE(blocks.size() == count);
        const std::set<void*> sorted(blocks.begin(), blocks.end());
        CHECK(sorted.size() == count);
        std::size_t crooked = 0, overlapping = 0, strange = 0;
        const std::byte* end = nullptr;
        for (void* each : sorted) {
            use(each, bytes, static_cast<int>(c));
            crooked += reinterpret_cast<std::uintptr_t>(each) % (bytes & -bytes) != 0;
            overlapping += end && static_cast<std::byte*>(each) < end;
            end = static_cast<std::byte*>(each) + bytes;
            const detail::span* s = detail::page_map::find(end - 1);
            strange += !s || s->size_class != c || s != detail::page_map::find(each);
        }
        CHECK(crooked == 0);
        CHECK(overlapping == 0);
        CHECK(strange == 0);
        k.from.check();
        k.put(c, blocks);
        k.from.check();
        CHECK(k.books.balanced());
    }
}

TEST_CASE("a span is returned when its last block is freed, and not before") {
    kit k;
    const std::uint32_t c = detail::size_class_of(1024, 16);
    const std::size_t in_span = detail::span_shape::of(1024).blocks;
    std::vector<void*> blocks = k.get(c, in_span);
    CHECK(k.books.counted().blocks_live == 1);
    std::shuffle(blocks.begin(), blocks.end(), support::make_rng());
    for (std::size_t i = 0; i < in_span; ++i) {
        CHECK(k.books.counted().blocks_live == 1);
        k.put(c, {blocks[i]});
        k.from.check();
    }
    CHECK(k.books.counted().blocks_live == 0);
    CHECK(detail::page_map::find(blocks[0]) == nullptr);
    CHECK(k.below.held() == 0);
}

TEST_CASE("free blocks are allocated before another span is requested") {
    kit k;
    const std::uint32_t c = detail::size_class_of(64, 16);
    const std::size_t in_span = detail::span_shape::of(64).blocks;
    std::vector<void*> blocks = k.get(c, 3 * in_span);
    CHECK(k.books.counted().blocks_live == 3);
    // Every second block of all three spans is freed.
    std::vector<void*> half, kept;
    for (std::size_t i = 0; i < blocks.size(); ++i) (i % 2 ? half : kept).push_back(blocks[i]);
    k.put(c, half);
    CHECK(k.books.counted().blocks_live == 3);
    std::vector<void*> again = k.get(c, half.size());
    CHECK(std::set<void*>(again.begin(), again.end()) == std::set<void*>(half.begin(), half.end()));
    CHECK(k.books.counted().calls == 3);
    k.from.check();
    k.put(c, again);
    k.put(c, kept);
    CHECK(k.books.balanced());
}

TEST_CASE("blocks of a fresh span are allocated in address order") {
    kit k;
    const std::uint32_t c = detail::size_class_of(128, 16);
    std::vector<void*> blocks = k.get(c, 64);
    // A magazine is emptied from its end.
    CHECK(std::is_sorted(blocks.rbegin(), blocks.rend()));
    k.put(c, blocks);
}

TEST_CASE("span records are reused") {
    kit k;
    const std::uint32_t c = detail::size_class_of(4096, 16);
    k.put(c, k.get(c, 1000));
    const std::size_t early = k.records.bytes();
    for (int round = 0; round < 20; ++round) k.put(c, k.get(c, 1000));
    CHECK(k.records.bytes() == early);
    CHECK(k.books.balanced());
}

TEST_CASE("a refill is short if the upstream runs out of memory, and no block is lost") {
    kit k;
    const std::uint32_t c = detail::size_class_of(2048, 16);
    const std::size_t in_span = detail::span_shape::of(2048).blocks;
    k.books.fail_from(3);
    std::vector<void*> blocks = k.get(c, 5 * in_span);
    CHECK(blocks.size() == 2 * in_span);
    CHECK(k.get(c, 1).empty());
    k.from.check();
    k.put(c, {blocks.back()});
    blocks.pop_back();
    std::vector<void*> one = k.get(c, 2);
    CHECK(one.size() == 1);
    k.put(c, one);
    k.books.never_fail();
    std::vector<void*> more = k.get(c, 10);
    CHECK(more.size() == 10);
    k.put(c, more);
    k.put(c, blocks);
    CHECK(k.books.balanced());
}

TEST_CASE("release_all() returns every span, even with blocks in use; spans stay usable") {
    kit k;
    for (int round = 0; round < 3; ++round) {
        for (std::uint32_t c = 0; c < detail::size_class_count; ++c) {
            std::vector<void*> blocks = k.get(c, 30);
            CHECK(blocks.size() == 30);
            blocks.resize(10);
            k.put(c, blocks);
        }
        k.from.check();
        CHECK(k.from.release_all());
        k.from.check();
        CHECK(k.books.balanced());
        CHECK(k.below.held() == 0);
    }
}

TEST_CASE("no block of any class ever has two owners among threads") {
    kit k;
    constexpr std::size_t threads = 6;
    std::atomic<std::size_t> spoiled{0};
    support::on_threads(threads, [&](std::size_t me) {
        support::rng random = support::make_rng(me);
        struct batch {
            std::uint32_t size_class;
            std::vector<void*> blocks;
        };
        std::vector<batch> held;
        const auto last_word = [](void* block, std::size_t bytes) {
            return reinterpret_cast<std::uint64_t*>(static_cast<std::byte*>(block) + bytes) - 1;
        };
        const auto give_back = [&](std::size_t which) {
            batch b = std::move(held[which]);
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
            for (void* each : b.blocks)
                if (*last_word(each, detail::size_class_bytes(b.size_class)) != (me << 32 | b.size_class)) ++spoiled;
            std::shuffle(b.blocks.begin(), b.blocks.end(), random);
            k.put(b.size_class, b.blocks);
        };
        for (std::size_t i = 0; i < support::scaled(10'000); ++i) {
            if (held.size() > 12 || (!held.empty() && random() % 2)) {
                give_back(random() % held.size());
            } else {
                // Few classes, small and large, so that threads contend.
                const auto c = static_cast<std::uint32_t>(random() % 4 * 23);
                batch b{c, k.get(c, 1 + random() % (c > 60 ? 10 : 200))};
                for (void* each : b.blocks) {
                    detail::unpoison(each, detail::size_class_bytes(c));
                    *last_word(each, detail::size_class_bytes(c)) = me << 32 | c;
                }
                held.push_back(std::move(b));
            }
            if (i % 5000 == 0) k.from.check();
        }
        while (!held.empty()) give_back(held.size() - 1);
    });
    CHECK(spoiled == 0);
    k.from.check();
    CHECK(k.books.balanced());
}

TEST_CASE("a foreign block ends the program with a message that says why") {
    kit k;
    const std::uint32_t c = detail::size_class_of(64, 16), other = detail::size_class_of(80, 16);
    std::vector<void*> blocks = k.get(c, 10);
    std::vector<void*> others = k.get(other, 10);
    CHECK(support::died([&] { k.put(other, {blocks[0]}); }).said("wrong size"));
    CHECK(support::died([&] { k.put(c, {static_cast<std::byte*>(blocks[0]) + 16}); }).said("no block's beginning"));
    alignas(16) static std::byte foreign[64];
    CHECK(support::died([&] { k.put(c, {foreign}); }).said("foreign pointer"));
    CHECK(support::died([&] {
              k.put(c, {blocks[1]});
              k.put(c, {blocks[1]});
          }).said("double free"));
    kit another;
    CHECK(support::died([&] { another.put(c, {blocks[2]}); }).said("foreign pointer"));
    k.put(c, blocks);
    k.put(other, others);
    CHECK(k.books.balanced());
}

TEST_CASE("check() finds a bitmap, a count, a list and a page map that do not agree") {
    kit k;
    const auto held = k.get(0, 5);
    detail::span& s = *page_map::find(held[0]);
    k.from.check();
    const auto corrupted = [&](auto deed) { return support::died([&] { deed(), k.from.check(); }); };
    CHECK(corrupted([&] { s.bits()[0] |= 1; }).said("free blocks and has"));
    CHECK(corrupted([&] { ++s.free_blocks; }).said("free blocks and has"));
    CHECK(corrupted([&] { s.owner = nullptr; }).said("is in another one's list"));
    CHECK(corrupted([&] { page_map::clear(s.base, page_map::page); }).said("is not in the page map"));
    CHECK(corrupted([&] { s.open.previous = &s; }).said("the lists of spans of size class 0 are broken"));
    CHECK(corrupted([&] {
              const std::uint32_t words = (detail::span_shape::of(all_sizes[0]).blocks + 63) / 64;
              for (std::uint32_t w = 0; w < words; ++w) s.bits()[w] = 0;
              s.free_blocks = 0;
          }).said("is in the wrong list"));
    k.put(0, held);
    k.from.check();
}

// src: base/arena.hpp
#include "base/arena.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<arena> {
    static void use_too_much(arena& a) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        a.used_ = a.chunks_->bytes + 1;
        a.check();
    }
    static void lose_a_byte(arena& a) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        --a.bytes_;
        a.check();
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using tidepool::detail::arena;

namespace {
struct piece {
    std::byte* at;
    std::size_t bytes;
};

bool all_zero(const piece& p) {
    return std::all_of(p.at, p.at + p.bytes, [](std::byte b) { return b == std::byte{0}; });
}
}  // namespace

TEST_CASE("an unused arena maps no memory") {
    arena a;
    CHECK(a.bytes() == 0);
}

TEST_CASE("arena memory is zeroed, aligned and distinct, also between threads") {
    constexpr std::size_t threads = 4, each = support::scaled(5000);
    arena a;
    std::vector<piece> pieces(threads * each);
    std::atomic<std::size_t> dirty{0}, crooked{0};
    support::on_threads(threads, [&](std::size_t me) {
        support::rng random = support::make_rng(me);
        for (std::size_t i = 0; i < each; ++i) {
            const std::size_t bytes = 1 + random() % (random() % 32 == 0 ? 10'000 : 200);
            const std::size_t alignment = std::size_t{1} << random() % 8;
            piece& p = pieces[me * each + i];
            p = {static_cast<std::byte*>(a.allocate(bytes, alignment)), bytes};
            if (reinterpret_cast<std::uintptr_t>(p.at) % alignment != 0) ++crooked;
            if (!all_zero(p)) ++dirty;  // also detects an overlap with a piece written before
            std::memset(p.at, 0xEE, bytes);
        }
    });
    CHECK(dirty == 0);
    CHECK(crooked == 0);
    std::sort(pieces.begin(), pieces.end(), [](const piece& x, const piece& y) { return x.at < y.at; });
    std::size_t overlaps = 0;
    for (std::size_t i = 1; i < pieces.size(); ++i) overlaps += pieces[i - 1].at + pieces[i - 1].bytes > pieces[i].at;
    CHECK(overlaps == 0);
}

TEST_CASE("a piece larger than a chunk gets a chunk of its own") {
    arena a;
    for (const std::size_t bytes : {std::size_t{64} << 10, std::size_t{1} << 20, std::size_t{9} << 20}) {
        const piece p{static_cast<std::byte*>(a.allocate(bytes, 128)), bytes};
        REQUIRE(p.at);
        CHECK(reinterpret_cast<std::uintptr_t>(p.at) % 128 == 0);
        p.at[0] = p.at[bytes - 1] = std::byte{1};
        CHECK(a.bytes() >= bytes);
    }
}

TEST_CASE("an arena maps at most about twice what was requested") {
    arena a;
    std::size_t asked = 0;
    for (int i = 0; i < 10'000; ++i) {
        REQUIRE(a.allocate(1000, 8));
        asked += 1000;
        REQUIRE(a.bytes() <= 2 * asked + (std::size_t{128} << 10));
    }
}

TEST_CASE("an arena returns null if memory is out and stays usable") {
    arena a;
    CHECK(a.allocate(std::size_t{1} << 60, 8) == nullptr);
    void* p = a.allocate(100, 8);
    CHECK(p != nullptr);
    CHECK(a.allocate(std::size_t{1} << 60, 8) == nullptr);
    void* q = a.allocate(100, 8);
    CHECK(q != nullptr);
    CHECK(q != p);
}

TEST_CASE("make() returns a constructed object with extra room behind it") {
    struct record {
        int a = 7;
        explicit record(int b) : second(b) {}
        int second;
    };
    arena a;
    auto* r = a.make<record>(100, 8);
    REQUIRE(r);
    CHECK(r->a == 7);
    CHECK(r->second == 8);
    auto* behind = reinterpret_cast<std::byte*>(r + 1);
    CHECK(all_zero({behind, 100}));
    auto* next = a.make<record>(0, 9);
    CHECK(reinterpret_cast<std::byte*>(next) >= behind + 100);
}

TEST_CASE("check() finds an arena that has used more than it has mapped") {
    arena a;
    a.check();
    REQUIRE(a.allocate(100, 8));
    REQUIRE(a.allocate(1 << 20, 8));
    a.check();
    using peer = tidepool::detail::test_peer<arena>;
    CHECK(support::died([&] { peer::use_too_much(a); }).said("an arena has used"));
    CHECK(support::died([&] { peer::lose_a_byte(a); }).said("an arena counts"));
}

// realloc.
#include <algorithm>
#include <array>
#include <cstring>

#include "contract.hpp"
#include "seed.hpp"

using namespace contract;

TEST_CASE("realloc of null allocates like malloc") {
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        const auto [p, error] = with_errno([&] { return std::realloc(nullptr, bytes); });
        REQUIRE(p);
        CHECK(error == untouched);
        CHECK(is_aligned(p, 16));
        fill(p, bytes, 1);
        std::free(p);
    }
}

TEST_CASE("realloc to zero bytes frees, returns null and leaves errno unchanged") {
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        void* p = std::malloc(bytes);
        const auto [q, error] = with_errno([&] { return std::realloc(p, opaque<std::size_t>(0)); });
        CHECK(q == nullptr);
        CHECK(error == untouched);
    }
    // If the blocks were not freed, this would need 60 GiB.
    for (int i = 0; i < 2000; ++i) {
        void* p = std::malloc(opaque(30 * mib));
        REQUIRE(p);
        CHECK(std::realloc(p, opaque<std::size_t>(0)) == nullptr);
    }
}

TEST_CASE("realloc keeps the contents between any two sizes") {
    const auto sizes = edge_sizes();
    support::rng random = support::make_rng();
    for (int i = 0; i < 4000; ++i) {
        const std::size_t from = sizes[random() % sizes.size()],
                          to = std::max<std::size_t>(sizes[random() % sizes.size()], 1);
        CAPTURE(from);
        CAPTURE(to);
        void* p = std::malloc(from);
        fill(p, from, from);
        const auto [q, error] = with_errno([&] { return std::realloc(p, to); });
        REQUIRE(q);
        CHECK(error == untouched);
        CHECK(is_aligned(q, 16));
        CHECK(malloc_usable_size(q) >= to);
        CHECK(is_filled(q, std::min(from, to), from));
        fill(q, malloc_usable_size(q), 1);
        std::free(q);
    }
}

// mimalloc and jemalloc align blocks of 8 bytes to 8 only.
TEST_CASE("realloc of large blocks to a few bytes keeps the alignment of 16") {
    std::array<void*, 64> blocks;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        blocks[i] = std::realloc(opaque(std::malloc(100 * kib)), 1 + i % 8);
        CHECK(is_aligned(blocks[i], 16));
    }
    for (void* p : blocks) std::free(p);
}

TEST_CASE("realloc keeps the contents while a block grows and shrinks byte by byte") {
    std::size_t most = 3000;
    void* p = nullptr;
    for (std::size_t bytes = 1; bytes <= most; ++bytes) {
        p = std::realloc(p, bytes);
        REQUIRE(p);
        static_cast<unsigned char*>(p)[bytes - 1] = pattern(bytes - 1, 2);
    }
    CHECK(is_filled(p, most, 2));
    for (std::size_t bytes = most; bytes >= 1; --bytes) {
        p = std::realloc(p, bytes);
        REQUIRE(p);
        if (bytes % 100 == 0) CHECK(is_filled(p, bytes, 2));
    }
    std::free(p);
}

TEST_CASE("realloc keeps the contents of large blocks") {
    void* p = std::malloc(mib);
    fill(p, mib, 4);
    for (const std::size_t bytes : {2 * mib, 100 * mib, 400 * mib, 50 * mib, 3 * mib, 33 * kib, 32 * kib, 70 * mib}) {
        p = std::realloc(p, bytes);
        REQUIRE(p);
        CHECK(is_filled(p, 30 * kib, 4));
        static_cast<char*>(opaque(p))[bytes - 1] = 1;
    }
    std::free(p);
}

TEST_CASE("realloc keeps the contents of an aligned block") {
    for (std::size_t alignment = 16; alignment <= mib; alignment *= 2)
        for (const std::size_t from : {std::size_t{1}, std::size_t{100}, 5 * kib, 100 * kib})
            for (const std::size_t to : {std::size_t{8}, std::size_t{200}, 6 * kib, 32 * kib, 300 * kib}) {
                CAPTURE(alignment);
                CAPTURE(from);
                CAPTURE(to);
                void* p = memalign(alignment, from);
                REQUIRE(is_aligned(p, alignment));
                fill(p, from, alignment);
                p = std::realloc(p, to);
                REQUIRE(p);
                CHECK(is_filled(p, std::min(from, to), alignment));
                std::free(p);
            }
}

TEST_CASE("realloc fails with ENOMEM for impossible sizes and keeps the block") {
    for (const std::size_t held : {std::size_t{1}, std::size_t{100}, 32 * kib, 100 * kib, 3 * mib})
        for (const std::size_t bytes : impossible_sizes()) {
            CAPTURE(held);
            CAPTURE(bytes);
            void* p = std::malloc(held);
            fill(p, held, 6);
            const auto [q, error] = with_errno([&] { return std::realloc(opaque(p), opaque(bytes)); });
            CHECK(q == nullptr);
            CHECK(error == ENOMEM);
            CHECK(is_filled(p, held, 6));
            std::free(p);
        }
}

TEST_CASE("realloc within a size class does not move the block") {
    if (!shim_promises()) return;
    std::size_t below = 0;
    for (const std::size_t limit : class_limits()) {
        CAPTURE(limit);
        void* p = std::malloc(below + 1);
        for (const std::size_t bytes : {shim_is_hardened() ? limit - 1 : limit, limit - 1, below + 1}) {
            void* q = std::realloc(p, bytes);
            CHECK(q == p);
            p = q;
        }
        std::free(p);
        below = limit;
    }
}

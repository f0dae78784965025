// calloc and reallocarray: products of sizes, and zeroed memory.
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "contract.hpp"

using namespace contract;

namespace {

// Returns how many pages of the block are resident.
std::size_t resident_pages(void* p, std::size_t bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(p) + page - 1) / page * page;
    const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(p) + bytes) / page * page;
    std::vector<unsigned char> in_memory((end - begin) / page);
    REQUIRE(mincore(reinterpret_cast<void*>(begin), end - begin, in_memory.data()) == 0);
    std::size_t count = 0;
    for (const unsigned char each : in_memory) count += each & 1U;
    return count;
}

// Factors whose product overflows, and factors whose product is impossible to allocate.
struct product {
    std::size_t count, bytes;
};
const product impossible_products[]{{size_max, 2},
                                    {2, size_max},
                                    {size_max / 2 + 1, 2},
                                    {std::size_t{1} << 32, std::size_t{1} << 32},
                                    {(std::size_t{1} << 33) + 1, std::size_t{1} << 31},
                                    {size_max / 16 + 2, 16},
                                    {size_max, size_max},
                                    {ptrdiff_max, 1},
                                    {1, ptrdiff_max + 1},
                                    {ptrdiff_max / 8 + 1, 8}};

}  // namespace

TEST_CASE("calloc returns zeroed memory aligned to 16 and leaves errno unchanged") {
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        const auto [p, error] = with_errno([&] { return std::calloc(1, bytes); });
        REQUIRE(p);
        CHECK(error == untouched);
        CHECK(is_aligned(p, 16));
        CHECK(is_zero(p, bytes));
        std::free(p);
    }
}

TEST_CASE("calloc zeroes reused blocks") {
    constexpr std::size_t count = 12;
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        void* blocks[count];
        for (int round = 0; round < 3; ++round) {
            for (void*& p : blocks) {
                p = round == 0 ? std::malloc(bytes) : std::calloc(bytes, 1);
                REQUIRE(p);
                if (round != 0) CHECK(is_zero(p, bytes));
                fill(p, malloc_usable_size(p), 3);
            }
            for (void* p : blocks) std::free(p);
        }
    }
}

TEST_CASE("calloc zeroes memory reused from another size") {
    for (int round = 0; round < 3; ++round)
        for (const std::size_t bytes : {40 * kib, 200 * kib, 32 * kib, 2 * mib, 64 * mib, 500 * kib, 24 * kib}) {
            CAPTURE(bytes);
            void* dirty = std::malloc(bytes + 4096);
            REQUIRE(dirty);
            fill(dirty, bytes + 4096, 1);
            std::free(dirty);
            void* clean = std::calloc(bytes / 8, 8);
            REQUIRE(clean);
            CHECK(is_zero(clean, bytes));
            std::free(clean);
        }
}

// mimalloc 2.0.9 writes zeroes to the block.
TEST_CASE("a large calloc touches no page" * doctest::skip(shim_is("mimalloc"))) {
    constexpr std::size_t bytes = 256 * mib;
    for (int round = 0; round < 3; ++round) {
        void* p = std::calloc(bytes / 32, 32);
        REQUIRE(p);
        CHECK(resident_pages(p, bytes) <= 16);
        static_cast<char*>(opaque(p))[bytes / 2] = 1;
        std::free(p);
    }
}

TEST_CASE("calloc of zero bytes returns a block") {
    for (const product& is :
         {product{0, 0}, product{0, 16}, product{16, 0}, product{0, size_max}, product{size_max, 0}}) {
        void* p = std::calloc(opaque(is.count), opaque(is.bytes));
        CHECK(p);
        std::free(p);
    }
}

TEST_CASE("calloc fails with ENOMEM for overflowing or impossible products") {
    for (const product& is : impossible_products) {
        CAPTURE(is.count);
        CAPTURE(is.bytes);
        const auto [p, error] = with_errno([&] { return std::calloc(opaque(is.count), opaque(is.bytes)); });
        CHECK(p == nullptr);
        CHECK(error == ENOMEM);
    }
}

TEST_CASE("reallocarray fails with ENOMEM for impossible products and keeps the block") {
    for (const std::size_t bytes : {100UL, 32'768UL, 100'000UL}) {
        void* held = std::malloc(bytes);
        fill(held, bytes, 5);
        for (const product& is : impossible_products) {
            CAPTURE(is.count);
            CAPTURE(is.bytes);
            const auto [p, error] =
                with_errno([&] { return reallocarray(opaque(held), opaque(is.count), opaque(is.bytes)); });
            CHECK(p == nullptr);
            CHECK(error == ENOMEM);
            CHECK(is_filled(held, bytes, 5));
        }
        std::free(held);
    }
}

TEST_CASE("reallocarray allocates, grows and shrinks as realloc does") {
    const auto first = with_errno([] { return reallocarray(nullptr, 10, 10); });
    CHECK(first.error == untouched);
    void* p = first.result;
    REQUIRE(p);
    fill(p, 100, 9);
    for (const std::size_t count : {20UL, 3000UL, 100'000UL, 500UL, 10UL}) {
        const auto [q, error_now] = with_errno([=] { return reallocarray(p, count, 10); });
        REQUIRE(q);
        CHECK(error_now == untouched);
        CHECK(is_filled(q, 100, 9));
        p = q;
    }
    std::free(p);
}

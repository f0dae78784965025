// malloc, free and malloc_usable_size.
#include "contract.hpp"

#include <cstring>

using namespace contract;

TEST_CASE("malloc serves every size aligned to 16 and leaves errno unchanged") {
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        const auto [p, error] = with_errno([&] { return std::malloc(bytes); });
        REQUIRE(p);
        CHECK(error == untouched);
        CHECK(is_aligned(p, 16));
        fill(p, bytes, bytes);
        CHECK(is_filled(p, bytes, bytes));
        const auto freed = with_errno([block = p] { return std::free(block), 0; });
        CHECK(freed.error == untouched);
    }
}

TEST_CASE("blocks of zero bytes are distinct") {
    void* one = std::malloc(opaque<std::size_t>(0));
    void* other = std::malloc(opaque<std::size_t>(0));
    CHECK(one);
    CHECK(other);
    CHECK(one != other);
    std::free(one);
    std::free(other);
}

TEST_CASE("all usable bytes of a block are writable and distinct") {
    constexpr std::size_t count = 20;
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        void* blocks[count];
        std::size_t usable[count];
        for (std::size_t i = 0; i < count; ++i) {
            blocks[i] = std::malloc(bytes);
            REQUIRE(blocks[i]);
            usable[i] = malloc_usable_size(blocks[i]);
            CHECK(usable[i] >= bytes);
            fill(blocks[i], usable[i], i);
        }
        for (std::size_t i = 0; i < count; ++i) {
            CHECK(is_filled(blocks[i], usable[i], i));
            CHECK(malloc_usable_size(blocks[i]) == usable[i]);
            std::free(blocks[i]);
        }
    }
}

TEST_CASE("the usable size of a pooled block is its class's; hardened, what was asked for") {
    if (!shim_promises()) return;
    std::size_t below = 0;
    for (const std::size_t limit : class_limits()) {
        for (const std::size_t bytes : {below + 1, limit - 1, limit}) {
            CAPTURE(bytes);
            void* p = std::malloc(bytes);
            CHECK(malloc_usable_size(p) == (shim_is_hardened() ? bytes : limit));
            std::free(p);
        }
        below = limit;
    }
}

TEST_CASE("free ignores null, and null has no usable size") {
    CHECK(malloc_usable_size(nullptr) == 0);
    const auto freed = with_errno([] { return std::free(opaque<void*>(nullptr)), 0; });
    CHECK(freed.error == untouched);
}

TEST_CASE("malloc fails with ENOMEM for impossible sizes") {
    for (const std::size_t bytes : impossible_sizes()) {
        CAPTURE(bytes);
        const auto [p, error] = with_errno([&] { return std::malloc(opaque(bytes)); });
        CHECK(p == nullptr);
        CHECK(error == ENOMEM);
    }
}

TEST_CASE("a freed block is reused") {
    // Without reuse this would need 60 GiB.
    for (int i = 0; i < 2000; ++i) {
        void* p = std::malloc(opaque<std::size_t>(30 * mib));
        REQUIRE(p);
        static_cast<char*>(p)[i] = 1;
        std::free(p);
    }
    for (int i = 0; i < 4'000'000; ++i) {
        void* p = std::malloc(opaque<std::size_t>(16 * kib));
        REQUIRE(p);
        static_cast<char*>(p)[i % 16384] = 1;
        std::free(p);
    }
}

TEST_CASE("cfree does the same as free") {
    auto* cfree_ = by_name<void(void*)>("cfree");
    CHECK((cfree_ || !shim_promises()));  // newer glibc no longer has it
    if (!cfree_ || !shim_promises()) return;
    for (const std::size_t bytes : edge_sizes()) cfree_(std::malloc(bytes));
    cfree_(nullptr);
}

TEST_CASE("memory that the C library allocates can be freed") {
    char* copy = strdup(opaque("a string that is copied"));
    CHECK(std::strcmp(copy, "a string that is copied") == 0);
    std::free(copy);
    char* text = nullptr;
    CHECK(asprintf(&text, "%0*d", 40'000, 7) == 40'000);
    std::free(text);
    char* path = realpath("/", nullptr);
    CHECK(std::strcmp(path, "/") == 0);
    std::free(path);
}

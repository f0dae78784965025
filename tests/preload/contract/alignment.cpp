// aligned_alloc, posix_memalign, memalign, valloc, pvalloc.
#include <unistd.h>

#include <vector>

#include "contract.hpp"

using namespace contract;

namespace {

std::vector<std::size_t> all_alignments() {
    std::vector<std::size_t> all;
    for (std::size_t alignment = 1; alignment <= mib; alignment *= 2) all.push_back(alignment);
    return all;
}

// Every eighth edge and those around the largest pooled size, since all alignments times all edges take too long.
std::vector<std::size_t> some_sizes() {
    std::vector<std::size_t> some{0, 1, 15, 16, 17, pooled_bytes_max - 1, pooled_bytes_max, pooled_bytes_max + 1, mib};
    const auto edges = edge_sizes();
    for (std::size_t i = 0; i < edges.size(); i += 8) some.push_back(edges[i]);
    return some;
}

// Several blocks at a time, so that a chance alignment is unlikely.
template <class Take>
void check_alignments(Take take) {
    for (const std::size_t alignment : all_alignments())
        for (const std::size_t bytes : some_sizes()) {
            CAPTURE(alignment);
            CAPTURE(bytes);
            void* blocks[3];
            for (std::size_t i = 0; i < 3; ++i) {
                const auto [p, error] = with_errno([&] { return take(alignment, bytes); });
                REQUIRE(p);
                CHECK(error == untouched);
                CHECK(is_aligned(p, alignment));
                CHECK(is_aligned(p, 16));
                CHECK(malloc_usable_size(p) >= bytes);
                fill(p, bytes, i);
                blocks[i] = p;
            }
            for (std::size_t i = 0; i < 3; ++i) {
                CHECK(is_filled(blocks[i], bytes, i));
                const auto freed = with_errno([&] { return std::free(blocks[i]), 0; });
                CHECK(freed.error == untouched);
            }
        }
}

void* by_posix_memalign(std::size_t alignment, std::size_t bytes) {
    void* p = nullptr;
    return posix_memalign(&p, alignment < sizeof(void*) ? sizeof(void*) : alignment, bytes) == 0 ? p : nullptr;
}

}  // namespace

TEST_CASE("aligned_alloc honours every power of two") { check_alignments(aligned_alloc); }
TEST_CASE("memalign honours every power of two") { check_alignments(memalign); }
TEST_CASE("posix_memalign honours every power of two") { check_alignments(by_posix_memalign); }

TEST_CASE("all usable bytes of an aligned block are writable and distinct") {
    for (const std::size_t alignment : all_alignments())
        for (const std::size_t bytes : {std::size_t{1}, std::size_t{100}, 3 * kib, 40 * kib}) {
            CAPTURE(alignment);
            CAPTURE(bytes);
            void* blocks[4];
            for (std::size_t i = 0; i < 4; ++i) {
                blocks[i] = memalign(alignment, bytes);
                fill(blocks[i], malloc_usable_size(blocks[i]), i);
            }
            for (std::size_t i = 0; i < 4; ++i) {
                CHECK(is_filled(blocks[i], malloc_usable_size(blocks[i]), i));
                std::free(blocks[i]);
            }
        }
}

TEST_CASE("aligned_alloc fails with EINVAL if the alignment is not a power of two") {
    if (!shim_promises()) return;  // glibc before 2.38 rounds it up
    for (const std::size_t alignment : {std::size_t{0}, std::size_t{3}, std::size_t{24}, std::size_t{48}, size_max}) {
        CAPTURE(alignment);
        const auto [p, error] = with_errno([&] { return aligned_alloc(opaque(alignment), 64); });
        CHECK(p == nullptr);
        CHECK(error == EINVAL);
    }
}

TEST_CASE("posix_memalign rejects a bad alignment and leaves errno and result unchanged") {
    for (const std::size_t alignment : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{4}, std::size_t{12},
                                        std::size_t{24}, std::size_t{4095}, size_max}) {
        CAPTURE(alignment);
        void* p = &p;
        const auto [status, error] = with_errno([&] { return posix_memalign(&p, opaque(alignment), 64); });
        CHECK(status == EINVAL);
        CHECK(error == untouched);
        CHECK(p == &p);
    }
}

TEST_CASE("posix_memalign returns ENOMEM for impossible sizes and keeps the result") {
    for (const std::size_t alignment : {std::size_t{8}, std::size_t{64}, std::size_t{4096}, mib})
        for (const std::size_t bytes : impossible_sizes()) {
            CAPTURE(alignment);
            CAPTURE(bytes);
            void* p = &p;
            const auto [status, error] = with_errno([&] { return posix_memalign(&p, alignment, opaque(bytes)); });
            CHECK(status == ENOMEM);
            CHECK(error == ENOMEM);  // as glibc has it
            CHECK(p == &p);
        }
}

TEST_CASE("aligned_alloc and memalign fail with ENOMEM for impossible sizes") {
    for (const std::size_t alignment : {std::size_t{16}, std::size_t{64}, std::size_t{4096}, mib})
        for (const std::size_t bytes : impossible_sizes()) {
            CAPTURE(alignment);
            CAPTURE(bytes);
            const auto [p, error] = with_errno([&] { return aligned_alloc(alignment, opaque(bytes)); });
            CHECK(p == nullptr);
            CHECK(error == ENOMEM);
            const auto [q, error_too] = with_errno([&] { return memalign(alignment, opaque(bytes)); });
            CHECK(q == nullptr);
            CHECK(error_too == ENOMEM);
        }
}

TEST_CASE("an alignment above every address fails with ENOMEM") {
    for (const std::size_t alignment : {std::size_t{1} << 48, std::size_t{1} << 62, std::size_t{1} << 63})
        for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, 64 * kib, ptrdiff_max, size_max}) {
            CAPTURE(alignment);
            CAPTURE(bytes);
            for (const auto take : {aligned_alloc, memalign}) {
                const auto [p, error] = with_errno([&] { return take(opaque(alignment), opaque(bytes)); });
                CHECK(p == nullptr);
                CHECK(error == ENOMEM);
            }
            void* p = &p;
            const auto [status, error] =
                with_errno([&] { return posix_memalign(&p, opaque(alignment), opaque(bytes)); });
            CHECK(status == ENOMEM);
            CHECK(error == ENOMEM);
            CHECK(p == &p);
        }
}

TEST_CASE("memalign rounds an alignment up to a power of two") {
    struct rounding {
        std::size_t from, to;
    };
    for (const rounding& is : {rounding{0, 16}, {3, 16}, {17, 32}, {48, 64}, {4097, 8192}}) {
        CAPTURE(is.from);
        void* p = memalign(opaque(is.from), 100);
        REQUIRE(p);
        CHECK(is_aligned(p, is.to));
        std::free(p);
    }
    const auto [p, error] = with_errno([] { return memalign(opaque(size_max), 1); });
    CHECK(p == nullptr);
    CHECK(error == EINVAL);
}

TEST_CASE("valloc is page-aligned, and pvalloc returns whole pages") {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        const auto [p, error] = with_errno([&] { return valloc(bytes); });
        REQUIRE(p);
        CHECK(error == untouched);
        CHECK(is_aligned(p, page));
        fill(p, bytes, 1);
        const std::size_t rounded = (bytes + page - 1) / page * page;
        const auto [q, error_too] = with_errno([&] { return pvalloc(bytes); });
        REQUIRE(q);
        CHECK(error_too == untouched);
        CHECK(is_aligned(q, page));
        CHECK(malloc_usable_size(q) >= rounded);
        fill(q, rounded, 2);
        CHECK(is_filled(p, bytes, 1));
        std::free(p);
        std::free(q);
    }
}

TEST_CASE("valloc and pvalloc fail with ENOMEM for impossible sizes, rounded or not") {
    for (const std::size_t bytes : impossible_sizes()) {
        CAPTURE(bytes);
        const auto [p, error] = with_errno([&] { return valloc(opaque(bytes)); });
        CHECK(p == nullptr);
        CHECK(error == ENOMEM);
        const auto [q, error_too] = with_errno([&] { return pvalloc(opaque(bytes)); });
        CHECK(q == nullptr);
        CHECK(error_too == ENOMEM);
    }
}

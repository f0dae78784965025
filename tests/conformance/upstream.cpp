// tidepool::upstream: which types are accepted, and the defaults for those with only the two required members.
#include <tidepool/upstream.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory_resource>
#include <optional>
#include <string>

namespace {

struct plain {
    int allocations = 0, deallocations = 0;
    int left = 1000;

    void* allocate(std::size_t bytes, std::size_t) noexcept {
        return left-- > 0 ? ++allocations, std::malloc(bytes) : nullptr;
    }
    void deallocate(void* p, std::size_t, std::size_t) noexcept {
        ++deallocations;
        std::free(p);
    }
};

struct complete : plain {
    int batches_out = 0, batches_in = 0, purges = 0;

    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept {
        ++batches_out;
        for (std::size_t i = 0; i < count; ++i) out[i] = allocate(bytes, alignment);
        return count;
    }
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept {
        ++batches_in;
        for (std::size_t i = 0; i < count; ++i) deallocate(blocks[i], bytes, alignment);
    }
    void purge() noexcept { ++purges; }
    static const char* name() noexcept { return "complete"; }
};

struct throwing {
    void* allocate(std::size_t bytes, std::size_t) { return std::malloc(bytes); }
    void deallocate(void* p, std::size_t, std::size_t) { std::free(p); }
};

static_assert(tidepool::upstream_allocator<plain>);
static_assert(tidepool::upstream_allocator<complete>);
static_assert(!tidepool::upstream_allocator<throwing>, "both members have to be noexcept");
static_assert(!tidepool::upstream_allocator<tidepool::upstream>, "a reference is copied, not referred to");

}  // namespace

// A mended bug: the constructor template took over the copy of a non-const upstream, and so referred to the copied
// object, which no longer existed a moment later.
TEST_CASE("a copied upstream refers to the same allocator, not to the copy's source") {
    plain below;
    std::optional<tidepool::upstream> first(below);
    tidepool::upstream copy = *first;
    first.reset();
    void* p = copy.allocate(64, 16);
    copy.deallocate(p, 64, 16);
    CHECK(below.allocations == 1);
    CHECK(below.deallocations == 1);
}

TEST_CASE("without batch members, batches are loops that stop when memory is out") {
    plain below;
    below.left = 3;
    const tidepool::upstream from(below);
    std::array<void*, 5> blocks{};
    CHECK(from.allocate_batch(64, 16, blocks.data(), blocks.size()) == 3);
    from.deallocate_batch(64, 16, blocks.data(), 3);
    CHECK(below.deallocations == 3);
    from.purge();  // without a purge member, this does nothing
    CHECK(from.name() == std::string("custom"));
}

TEST_CASE("an allocator's own batch members, purge and name are used") {
    complete below;
    const tidepool::upstream from(below);
    std::array<void*, 5> blocks{};
    CHECK(from.allocate_batch(64, 16, blocks.data(), blocks.size()) == 5);
    from.deallocate_batch(64, 16, blocks.data(), blocks.size());
    from.purge();
    CHECK(below.batches_out == 1);
    CHECK(below.batches_in == 1);
    CHECK(below.purges == 1);
    CHECK(from.name() == std::string("complete"));
}

TEST_CASE("libc, pages and memory resources serve any size at any alignment") {
    for (const tidepool::upstream& from :
         {tidepool::libc_upstream(), tidepool::pages_upstream(), tidepool::upstream(std::pmr::new_delete_resource())})
        for (std::size_t alignment = 1; alignment <= std::size_t{1} << 21; alignment *= 2)
            for (const std::size_t bytes :
                 {std::size_t{1}, std::size_t{100}, std::size_t{65536}, std::size_t{1'000'000}}) {
                CAPTURE(from.name());
                CAPTURE(alignment);
                void* p = from.allocate(bytes, alignment);
                REQUIRE(p != nullptr);
                CHECK(reinterpret_cast<std::uintptr_t>(p) % alignment == 0);
                std::memset(p, 1, bytes);
                from.deallocate(p, bytes, alignment);
            }
    CHECK(tidepool::upstream(std::pmr::new_delete_resource()).resource() == std::pmr::new_delete_resource());
    CHECK(tidepool::pages_upstream().resource() == nullptr);
}

// An upstream that fails at the n-th call, or from it on, for every n: over each face that draws from one, with blocks
// that another thread frees, ticks, trims, a thread that exits and large requests in the same life.
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <new>
#include <thread>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/block_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "counting_upstream.hpp"
#include "reach.hpp"
#include "scale.hpp"
#include "setups.hpp"
#include "worker.hpp"

namespace {

using namespace conformance;
using support::counting_resource;
using support::counting_upstream;
using tidepool::block_source;

tidepool::pool_options asks_often(block_source source) {
    tidepool::pool_options options = hand_ticked(source);
    options.max_blocks_per_chunk = 8;
    options.local_bytes_max = 16 << 10;
    options.depot_bytes_max = 0;
    return options;
}

// What a face is made of, and how it is asked. allocate() may return null or throw std::bad_alloc, as the face
// promises.
struct resource_face {
    static constexpr bool throws = true;
    tidepool::pool_resource pool;
    resource_face(block_source source, tidepool::upstream from) : pool(asks_often(source), from) {}
    void* allocate(std::size_t bytes) { return pool.allocate(bytes, 8); }
    void deallocate(void* p, std::size_t bytes) { pool.deallocate(p, bytes, 8); }
    static std::size_t bytes_of(std::size_t i) { return i % 40 == 39 ? 40'000 : 16 + i % 13 * 200; }
};
struct allocator_face {
    static constexpr bool throws = true;
    using words = tidepool::pool_allocator<std::uint64_t>;
    tidepool::pool_resource pool;
    allocator_face(block_source source, tidepool::upstream from) : pool(asks_often(source), from) {}
    void* allocate(std::size_t bytes) { return words(pool).allocate(bytes / 8); }
    void deallocate(void* p, std::size_t bytes) { words(pool).deallocate(static_cast<std::uint64_t*>(p), bytes / 8); }
    static std::size_t bytes_of(std::size_t i) { return resource_face::bytes_of(i); }
};
template <bool Throws>
struct block_face {
    static constexpr bool throws = Throws;
    tidepool::block_pool pool;
    block_face(block_source source, tidepool::upstream from) : pool(1000, 64, asks_often(source), from) {}
    void* allocate(std::size_t) { return Throws ? pool.allocate() : pool.try_allocate(); }
    void deallocate(void* p, std::size_t) { pool.deallocate(p); }
    static std::size_t bytes_of(std::size_t) { return 1000; }
};

struct held {
    void* p;
    std::size_t bytes;
};

// Counts the requests that failed, which must be as the face promises; the others' blocks are in `to`, and have been
// written to.
template <class Face>
std::size_t take(Face& face, std::size_t count, std::vector<held>& to) {
    std::size_t failed = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bytes = Face::bytes_of(i);
        void* p = nullptr;
        try {
            p = face.allocate(bytes);
            if (!p && Face::throws) FAIL_CHECK("null from a face that throws");
        } catch (const std::bad_alloc&) {
            if (!Face::throws) FAIL_CHECK("an exception from a face that returns null");
        }
        failed += p == nullptr;
        if (!p) continue;
        std::memset(p, static_cast<int>(bytes / 8), bytes);
        to.push_back({p, bytes});
    }
    return failed;
}
template <class Face>
void give(Face& face, std::vector<held>& all) {
    for (const held& each : all) {
        const auto* p = static_cast<const unsigned char*>(each.p);
        const auto is = static_cast<unsigned char>(each.bytes / 8);
        if (p[0] != is || p[each.bytes - 1] != is) FAIL_CHECK("a block has changed under its holder");
        face.deallocate(each.p, each.bytes);
    }
    all.clear();
}

template <class Face>
std::size_t live(Face& face, support::worker& other) {
    constexpr std::size_t count = 120;
    std::vector<held> mine, theirs;
    std::size_t failed = take(face, count, mine);
    other.run([&] { failed += take(face, count, theirs); });
    give(face, theirs);
    other.run([&] { give(face, mine); });
    face.pool.tick();
    failed += take(face, count, mine);
    std::thread([&] {
        failed += take(face, count, theirs);
        give(face, mine);
    }).join();
    face.pool.tick();
    give(face, theirs);
    face.pool.trim();
    failed += take(face, count, mine);
    give(face, mine);
    return failed;
}

// How many runs reached their failure, and how many of those failed a request.
struct tally {
    std::size_t runs = 0, failed = 0;
};

// `Upstream`: counting_upstream, or counting_resource, which throws.
template <class Face>
tally fail_each(block_source source, bool from_then_on, bool upstream_throws) {
    tally counted;
    support::worker other;
    // A direct pool calls for each block, so there every few calls are enough.
    const std::uint64_t step = source == block_source::spans ? 1 : support::slow_build ? 35 : 7;
    for (std::uint64_t n = 1;; n += step) {
        CAPTURE(n);
        counting_upstream plain;
        counting_resource thrower;
        counting_upstream& books = upstream_throws ? thrower.books : plain;
        bool reached = false;
        {
            Face face(source, upstream_throws ? tidepool::upstream(&thrower) : tidepool::upstream(plain));
            from_then_on ? books.fail_from(n) : books.fail_at(n);
            const std::size_t failed = live(face, other);
            reached = books.counted().failures != 0;
            counted.failed += failed != 0;
            CHECK((failed == 0 || reached));
            CHECK(face.pool.stats().blocks_in_use == 0);
            CHECK(face.pool.stats().large_blocks == 0);
            CHECK(face.pool.stats().upstream_bytes == books.counted().bytes_live());

            books.never_fail();
            CHECK(live(face, other) == 0);
            CHECK(face.pool.stats().blocks_in_use == 0);
            face.pool.tick();
            face.pool.tick();
        }
        CHECK(books.balanced());
        if (!reached) return counted;
        ++counted.runs;
        REQUIRE(n < 100'000);
    }
}

}  // namespace

TEST_CASE_TEMPLATE("each call of the upstream may fail, alone or with all that follow", Face, resource_face,
                   allocator_face, block_face<true>, block_face<false>) {
    if (!support::others_in_reach()) return;  // what a sleeping thread keeps counts as in use then
    for (const auto source : {block_source::spans, block_source::direct})
        for (const bool upstream_throws : {false, true}) {
            const tally one = fail_each<Face>(source, false, upstream_throws);
            const tally all = fail_each<Face>(source, true, upstream_throws);
            CHECK(one.runs > 1);
            CHECK(all.runs > 1);
            CHECK(all.failed > all.runs / 2);
        }
}

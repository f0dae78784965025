// The suite that every upstream must pass, alone and below a pool.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include <tidepool/pool_resource.hpp>

#include "calm.hpp"
#include "candidates.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"
#include "traffic.hpp"

namespace {

using adapters::candidate;
using adapters::every_candidate;
using adapters::hand_ticked;

constexpr std::array both_sources{tidepool::block_source::spans, tidepool::block_source::direct};

bool may_change_threads(const candidate& each) {
    return !each.one_thread && (adapters::threads_can_be_watched || each.name.find("malloc") == std::string::npos);
}

bool aligned(const void* p, std::size_t alignment) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }

TEST_CASE("allocate returns distinct usable memory for every size and alignment") {
    for (const candidate& each : every_candidate()) {
        CAPTURE(each.name);
        struct block {
            unsigned char* p;
            std::size_t bytes, alignment;
            unsigned char mark;
        };
        std::vector<block> blocks;
        for (std::size_t alignment = 1; alignment <= std::size_t{1} << 21; alignment *= 2)
            for (const std::size_t bytes :
                 {std::size_t{0}, std::size_t{1}, std::size_t{8}, std::size_t{16}, std::size_t{24}, std::size_t{100},
                  std::size_t{1024}, std::size_t{1040}, std::size_t{32'768}, std::size_t{65'535}, std::size_t{65'536},
                  std::size_t{1'000'000}}) {
                CAPTURE(alignment);
                CAPTURE(bytes);
#if defined(TIDEPOOL_JEMALLOC_SHARED)
                // The operator delete of jemalloc 5.3.0 cannot free zero aligned bytes of its operator new.
                if (bytes == 0 && !each.serious) continue;
#endif
                void* p = each.from.allocate(bytes, alignment);
                REQUIRE(p != nullptr);
                CHECK(aligned(p, alignment));
                const auto mark = static_cast<unsigned char>(blocks.size() % 251);
                std::memset(p, mark, bytes);
                blocks.push_back({static_cast<unsigned char*>(p), bytes, alignment, mark});
            }
        for (const block& b : blocks) {
            if (b.bytes > 0) CHECK((b.p[0] == b.mark && std::memcmp(b.p, b.p + 1, b.bytes - 1) == 0));
            each.from.deallocate(b.p, b.bytes, b.alignment);
        }
    }
}

TEST_CASE("blocks of a batch may be deallocated in batches or one by one") {
    for (const candidate& each : every_candidate())
        for (const std::size_t count : {1U, 15U, 16U, 100U, 256U})
            for (const std::size_t bytes : {16U, 48U, 1152U, 65'536U}) {
                CAPTURE(each.name);
                std::vector<void*> blocks(count);
                REQUIRE(each.from.allocate_batch(bytes, 16, blocks.data(), count) == count);
                for (void* p : blocks) {
                    REQUIRE(aligned(p, 16));
                    std::memset(p, 1, bytes);
                }
                for (std::size_t i = 0; i < count / 2; ++i) each.from.deallocate(blocks[i], bytes, 16);
                each.from.deallocate_batch(bytes, 16, blocks.data() + count / 2, count - count / 2);
            }
}

TEST_CASE("every byte of a block of good_size bytes is usable") {
    for (const candidate& each : every_candidate())
        for (const std::size_t bytes : {1U, 17U, 100U, 1025U, 10'000U, 100'000U}) {
            CAPTURE(each.name);
            const std::size_t good = each.from.good_size(bytes);
            CHECK(good >= bytes);
            CHECK(good <= bytes * 2 + 16);
            void* p = each.from.allocate(good, 16);
            std::memset(p, 1, good);
            each.from.deallocate(p, good, 16);
        }
}

TEST_CASE("an impossible request returns null and leaves errno unchanged") {
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    for (const candidate& each : every_candidate()) {
        // The sanitizers' operator new ends the program instead of throwing.
        if ((support::under_asan || support::under_tsan) && !each.serious) continue;
        CAPTURE(each.name);
        for (const std::size_t bytes : {most, most / 2})
            for (const std::size_t alignment : {16U, 65'536U}) {
                errno = 77;
                CHECK(each.from.allocate(bytes, alignment) == nullptr);
                // The C++ library and C functions may set errno.
                if (each.serious) CHECK(errno == 77);
            }
        void* p = each.from.allocate(100, 16);
        REQUIRE(p != nullptr);
        each.from.deallocate(p, 100, 16);
    }
}

TEST_CASE("a block may be freed by another thread after its own thread has exited") {
    for (const candidate& each : every_candidate()) {
        if (!may_change_threads(each)) continue;
        CAPTURE(each.name);
        std::vector<void*> blocks;
        std::thread([&] {
            for (std::size_t i = 0; i < 1000; ++i) blocks.push_back(each.from.allocate(i * 40, 16));
        }).join();
        for (std::size_t i = 0; i < 1000; ++i) {
            REQUIRE(blocks[i] != nullptr);
            std::memset(blocks[i], 1, i * 40);
            each.from.deallocate(blocks[i], i * 40, 16);
        }
    }
}

TEST_CASE("below a pool, the counts balance and two ticks return all memory") {
    const support::calm quiet;
    for (const candidate& each : every_candidate())
        for (const auto source : both_sources) {
            CAPTURE(each.name);
            tidepool::counting_upstream books(each.from);
            {
                tidepool::pool_resource pool(hand_ticked(source), books);
                support::rng random = support::make_rng(7);
                struct block {
                    void* p;
                    std::size_t bytes, alignment;
                };
                std::vector<block> held;
                for (std::size_t i = 0; i < support::scaled(20'000); ++i) {
                    if (held.size() > 500 || (random() % 3 == 0 && !held.empty())) {
                        std::swap(held[random() % held.size()], held.back());
                        pool.deallocate(held.back().p, held.back().bytes, held.back().alignment);
                        held.pop_back();
                    } else {
                        const std::size_t bytes = random() % 100 == 0 ? random() % 200'000 : random() % 2000;
                        const std::size_t alignment = std::size_t{1} << random() % (random() % 50 == 0 ? 17 : 5);
                        void* p = pool.allocate(bytes, alignment);
                        REQUIRE(aligned(p, alignment));
                        std::memset(p, 1, bytes);
                        held.push_back({p, bytes, alignment});
                    }
                }
                const tidepool::stats now = pool.stats();
                CHECK(now.blocks_in_use + now.large_blocks == held.size());
                CHECK(now.upstream_bytes == books.counted().bytes_live);
                for (const block& b : held) pool.deallocate(b.p, b.bytes, b.alignment);
                pool.tick();
                pool.tick();
                CHECK(pool.stats().bytes_cached == 0);
                CHECK(books.counted().bytes_live == 0);
            }
            CHECK(books.counted().bytes_live == 0);
            CHECK(books.counted().blocks_live() == 0);
            CHECK(books.counted().failures == 0);
        }
}

TEST_CASE("a tick calls purge once if it returned memory, and otherwise not at all") {
    const support::calm quiet;
    for (const candidate& each : every_candidate())
        for (const auto source : both_sources) {
            CAPTURE(each.name);
            tidepool::counting_upstream books(each.from);
            tidepool::pool_resource pool(hand_ticked(source), books);
            for (int i = 0; i < 3; ++i) pool.tick();
            CHECK(books.counted().purges == 0);
            std::vector<void*> held;
            for (int i = 0; i < 2000; ++i) held.push_back(pool.allocate(500));
            for (void* p : held) pool.deallocate(p, 500);
            pool.tick();
            const auto before = books.counted();
            pool.tick();
            CHECK(books.counted().bytes_live < before.bytes_live);
            CHECK(books.counted().purges == before.purges + 1);
            for (int i = 0; i < 3; ++i) pool.tick();  // one of these returns what the source still kept
            const auto empty = books.counted();
            CHECK(empty.bytes_live == 0);
            for (int i = 0; i < 3; ++i) pool.tick();
            CHECK(books.counted().purges == empty.purges);
            held.assign(1, pool.allocate(500));
            pool.deallocate(held[0], 500);
            CHECK(pool.trim() > 0);
            CHECK(books.counted().purges == empty.purges + 1);
        }
}

TEST_CASE("below a busy pool, no block has two owners and all memory is returned") {
    for (const candidate& each : every_candidate())
        for (const auto source : both_sources) {
            if (!each.serious || !may_change_threads(each)) continue;
            CAPTURE(each.name);
            tidepool::counting_upstream books(each.from);
            {
                tidepool::pool_options options;
                options.source = source;
                options.decay_interval = std::chrono::milliseconds(5);
                tidepool::pool_resource pool(options, books);
                const std::size_t held_twice = support::traffic(
                    4, support::scaled(60'000), support::mixed_sizes(),
                    [&](std::size_t bytes) { return pool.allocate(bytes, 8); },
                    [&](void* block, std::size_t bytes) { pool.deallocate(block, bytes, 8); });
                CHECK(held_twice == 0);
                CHECK(pool.stats().blocks_in_use == 0);
                pool.tick();
                pool.tick();
                CHECK(books.counted().bytes_live == 0);
            }
            CHECK(books.counted().blocks_live() == 0);
        }
}

TEST_CASE("release() takes back blocks never freed; pool and upstream remain usable") {
    for (const candidate& each : every_candidate()) {
        if (!each.from.releases()) continue;
        for (const auto source : both_sources) {
            CAPTURE(each.name);
            tidepool::pool_resource pool(hand_ticked(source), each.from);
            for (int round = 0; round < 3; ++round) {
                std::vector<void*> freed;
                for (std::size_t i = 0; i < 3000; ++i) {
                    void* p = pool.allocate(i);
                    std::memset(p, 1, i);
                    if (i % 3 == 0) freed.push_back(p);
                }
                static_cast<void>(pool.allocate(1'000'000));
                for (std::size_t i = 0; i < freed.size(); ++i) pool.deallocate(freed[i], 3 * i);
                pool.release();
                CHECK(pool.stats().blocks_in_use == 0);
                CHECK(pool.stats().blocks_cached == 0);
                CHECK(pool.stats().upstream_bytes == 0);
            }
        }
    }
}

}  // namespace

// src: source/block_watch.hpp and cache/quarantine.cpp, with a pool as the hardened shim has it. What all faces promise
// is in conformance/misuse.cpp.
#include "source/block_watch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_id.hpp"
#include "calm.hpp"
#include "died.hpp"
#include "pool/pool.hpp"
#include "worker.hpp"

namespace detail = tidepool::detail;

namespace {

constexpr std::uint32_t class_64 = 3, class_3072 = 8 + 4 * 8 + 3;
static_assert(detail::size_class_bytes(class_64) == 64 && detail::size_class_bytes(class_3072) == 3072);

// With contents watched and a quarantine.
const detail::pool_plan as_the_shim{.sizes = {.count = detail::size_class_count},
                                    .limits = {.blocks_per_magazine_max = 256,
                                               .magazine_bytes_max = 16384,
                                               .local_bytes_max = 262144,
                                               .quarantine = true},
                                    .decay_interval = {},
                                    .watches_contents = true};

std::byte* take(detail::pool& pool, std::uint32_t size_class, std::size_t asked) {
    void* const p = pool.allocate(size_class);
    if constexpr (detail::hardened) detail::block_watch::take(detail::spans::locate(p), asked);
    std::memset(p, 1, asked);
    return static_cast<std::byte*>(p);
}

void give(detail::pool& pool, std::byte* p, std::uint32_t size_class) {
    if constexpr (detail::hardened) detail::block_watch::give(p, detail::spans::locate(p));
    pool.deallocate(p, size_class);
}

std::vector<std::byte*> some(detail::pool& pool, std::uint32_t size_class, std::size_t count) {
    std::vector<std::byte*> blocks(count);
    for (auto& each : blocks) each = take(pool, size_class, detail::size_class_bytes(size_class));
    return blocks;
}

template <class Deed>
void check_stops(Deed deed, std::initializer_list<std::string> words) {
    const support::death end = support::died(deed);
    CAPTURE(end.text);
    CHECK(end.violent());
    for (const std::string& word : words) CHECK(end.said(word));
}

constexpr bool not_watched = !detail::hardened;

}  // namespace

TEST_CASE("a write after free is found when the block is taken again" * doctest::skip(not_watched)) {
    const support::calm quiet;
    for (const std::uint32_t size_class : {class_64, class_3072})
        for (const std::size_t at : {std::size_t{0}, detail::size_class_bytes(size_class) - 1}) {
            detail::pool pool(as_the_shim, tidepool::pages_upstream());
            std::byte* const block = some(pool, size_class, 20)[7];
            give(pool, block, size_class);
            pool.tick_now();  // now it is the victim
            check_stops(
                [&] {
                    block[at] ^= std::byte{1};
                    some(pool, size_class, 1000);
                },
                {"write after free: byte " + std::to_string(at), "freed last by thread "});
        }
}

TEST_CASE("a write after free is found when the block goes down" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    std::byte* const block = some(pool, class_64, 20)[7];
    give(pool, block, class_64);
    check_stops(
        [&] {
            block[8] ^= std::byte{1};
            pool.trim(0);
        },
        {"write after free: byte 8", "size class 3 (64 B)", "thread " + std::to_string(detail::thread_id())});
}

TEST_CASE("a write in front of a block is found when that is freed" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    std::vector<std::byte*> blocks = some(pool, class_64, 20);
    std::sort(blocks.begin(), blocks.end());
    give(pool, blocks[9], class_64);
    check_stops(
        [&] {
            blocks[10][-1] ^= std::byte{1};
            give(pool, blocks[10], class_64);
        },
        {"underflow: a byte in front of"});
    give(pool, blocks[10], class_64);
}

TEST_CASE("a write behind what was asked for is found when the block is freed" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    std::byte* const block = take(pool, class_64, 50);
    check_stops(
        [&] {
            block[50] ^= std::byte{1};
            give(pool, block, class_64);
        },
        {"overflow: byte 50 of", "of which 50 were asked for"});
    const detail::spans::location at = detail::spans::locate(block);
    CHECK(detail::block_watch::asked(at, "use of") == 50);
    check_stops([&] { detail::block_watch::check_size(at, 51); }, {"wrong size", "has 50 bytes and was freed as 51"});
    detail::block_watch::resize(at, 60);
    block[50] = std::byte{2};
    detail::block_watch::check_size(at, 60);
    give(pool, block, class_64);
    check_stops([&] { detail::block_watch::asked(at, "use of"); }, {"use of"});
}

TEST_CASE("an address inside a block is no block" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    std::byte* const block = take(pool, class_3072, 3000);
    check_stops([&] { give(pool, block + 16, class_3072); },
                {"foreign pointer", "it lies 16 bytes inside the block at"});
    give(pool, block, class_3072);
}

TEST_CASE("a block that was set aside may be written to until it is closed" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    std::byte* const block = take(pool, class_64, 3);
    const detail::spans::location at = detail::spans::locate(block);
    detail::block_watch::give(block, at);
    detail::block_watch::open(at);
    std::memset(block, 1, 8);
    check_stops([&] { detail::block_watch::give(block, at); }, {"double free"});
    detail::block_watch::close(at);
    pool.deallocate(block, class_64);
    pool.trim(0);
}

TEST_CASE("a double free names the thread of the first one" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    std::byte* const block = some(pool, class_64, 20)[7];
    std::uint32_t freer = 0;
    support::worker().run([&] {
        freer = detail::thread_id();
        give(pool, block, class_64);
    });
    CHECK(freer != detail::thread_id());
    check_stops([&] { give(pool, block, class_64); }, {"double free", "freed last by thread " + std::to_string(freer)});
}

TEST_CASE("what was freed is not taken again before the next tick" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    std::vector<std::byte*> freed = some(pool, class_64, 100);
    for (std::byte* each : freed) give(pool, each, class_64);
    std::sort(freed.begin(), freed.end());
    for (std::byte* each : some(pool, class_64, 1000))
        CHECK_FALSE(std::binary_search(freed.begin(), freed.end(), each));
    pool.tick_now();
    std::size_t again = 0;
    for (std::byte* each : some(pool, class_64, 3000)) again += std::binary_search(freed.begin(), freed.end(), each);
    CHECK(again == freed.size());
}

TEST_CASE("a quarantine that is full lets the oldest blocks go" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    for (int round = 0; round < 100; ++round)
        for (std::byte* each : some(pool, class_3072, 50)) give(pool, each, class_3072);
    CHECK(pool.snapshot().upstream_bytes_peak < (std::size_t{3} << 20));
    pool.check(detail::pool::others::still);
}

TEST_CASE("fresh blocks are not given out in the order of their addresses" * doctest::skip(not_watched)) {
    const support::calm quiet;
    detail::pool pool(as_the_shim, tidepool::pages_upstream());
    const std::vector<std::byte*> blocks = some(pool, class_64, 1000);
    std::size_t upwards = 0;
    for (std::size_t i = 1; i < blocks.size(); ++i) upwards += blocks[i] == blocks[i - 1] + 64;
    CHECK(upwards < 200);
}

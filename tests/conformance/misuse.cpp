// Hardened builds: freeing a block twice, with a wrong size, or into the wrong pool ends the program in that call, with
// a message that names the error, the address and the size class.
#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/block_pool.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "calm.hpp"
#include "died.hpp"
#include "setups.hpp"
#include "worker.hpp"

namespace {

using namespace conformance;
using tidepool::pool_resource;

constexpr bool not_watched = !tidepool::detail::hardened;

std::string text_of(const void* p) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", p);
    return text;
}

// Checks that `deed` does not return but ends the process with these words on stderr.
template <class Deed>
void check_stops(Deed deed, std::initializer_list<std::string> words) {
    const support::death end = support::died([&] {
        deed();
        std::fputs("and went on\n", stderr);
    });
    CAPTURE(end.text);
    CHECK(end.signal == SIGABRT);
    CHECK(end.said("tidepool: "));
    CHECK_FALSE(end.said("and went on"));
    for (const std::string& word : words) {
        CAPTURE(word);
        CHECK(end.said(word));
    }
}

void churn(pool_resource& pool) {
    std::vector<void*> blocks(1000);
    for (void*& each : blocks) each = pool.allocate(64);
    for (void* each : blocks) pool.deallocate(each, 64);
}

// A way in which the program gives up a block of 64 bytes.
struct departure {
    const char* name;
    void (*free)(pool_resource& pool, void* block);
};

// Checks for each way and each source that freeing the block again is caught.
void check_gone(const std::vector<departure>& ways, std::initializer_list<std::string> words) {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct})
        for (const departure& way : ways) {
            CAPTURE(way.name);
            CAPTURE(static_cast<int>(source));
            pool_resource pool(hand_ticked(source));
            void* neighbour = pool.allocate(64);  // keeps the span from being returned
            void* block = pool.allocate(64);
            way.free(pool, block);
            check_stops([&] { pool.deallocate(block, 64); }, words);
            check_stops([&] { pool.deallocate(block, 64); }, {text_of(block), "64 B"});
            pool.deallocate(neighbour, 64);
        }
}

// In every build: this costs two instructions.
TEST_CASE("a double free of the block freed last is caught by every face") {
    const support::calm quiet;
    pool_resource pool(hand_ticked());
    tidepool::block_pool blocks(100, 16, hand_ticked());
    tidepool::object_pool<std::uint64_t> objects({}, {}, hand_ticked_objects());
    void* const first = pool.allocate(64);
    void* const block = pool.allocate(64);
    void* const packet = blocks.allocate();
    std::uint64_t* const object = objects.get();
    pool.deallocate(first, 64);
    pool.deallocate(block, 64);
    blocks.deallocate(packet);
    objects.put(object);
    check_stops([&] { pool.deallocate(block, 64); }, {"double free", text_of(block), "64 B"});
    check_stops([&] { blocks.deallocate(packet); }, {"double free", text_of(packet), "112 B"});
    check_stops([&] { objects.put(object); }, {"double free", text_of(object)});
    check_stops(
        [&] {
            void* const again = pool.allocate(3000);
            pool.deallocate(again, 3000);
            pool.deallocate(again, 3000);
        },
        {"double free", "3072 B"});
}

// 1000 pairs of frees of the same block: whatever magazine is full meanwhile, the second of a pair is seen.
TEST_CASE("a double free is caught also where the first free filled a magazine") {
    const support::calm quiet;
    pool_resource pool(hand_ticked());
    std::vector<void*> taken(1000);
    for (void*& each : taken) each = pool.allocate(64);
    for (void* each : taken) {
        pool.deallocate(each, 64);
        if (reinterpret_cast<std::uintptr_t>(each) % 7 == 0)
            check_stops([&] { pool.deallocate(each, 64); }, {"double free", text_of(each)});
    }
}

TEST_CASE("a double free is caught wherever the pool keeps the block" * doctest::skip(not_watched)) {
    const support::calm quiet;  // the chaos build would drop blocks, which then have left the pool
    check_gone({{"in the thread's own magazine", [](pool_resource& pool, void* block) { pool.deallocate(block, 64); }},
                {"deeper in the thread's own local",
                 [](pool_resource& pool, void* block) {
                     pool.deallocate(block, 64);
                     churn(pool);
                 }},
                {"in the previous generation",
                 [](pool_resource& pool, void* block) {
                     pool.deallocate(block, 64);
                     pool.tick();
                 }},
                {"in another thread's local",
                 [](pool_resource& pool, void* block) { support::worker().run([&] { pool.deallocate(block, 64); }); }}},
               {"double free"});
}

TEST_CASE("a double free is caught after the block has left the pool" * doctest::skip(not_watched)) {
    check_gone({{"by two ticks",
                 [](pool_resource& pool, void* block) {
                     pool.deallocate(block, 64);
                     pool.tick();
                     pool.tick();
                 }},
                {"by trim",
                 [](pool_resource& pool, void* block) {
                     pool.deallocate(block, 64);
                     pool.trim();
                 }}},
               {});
}

TEST_CASE("freeing a block after release() is caught as foreign" * doctest::skip(not_watched)) {
    pool_resource pool(hand_ticked());
    void* block = pool.allocate(64);
    pool.release();
    check_stops([&] { pool.deallocate(block, 64); }, {"foreign pointer", text_of(block), "64 B"});
}

TEST_CASE("a block that was freed and allocated again may be freed again" * doctest::skip(not_watched)) {
    pool_resource pool(hand_ticked());
    for (int i = 0; i < 5; ++i) {
        churn(pool);
        pool.deallocate(pool.allocate(64), 64);
        pool.tick();
    }
    CHECK(pool.stats().blocks_in_use == 0);
}

TEST_CASE("deallocate with a wrong size is caught" * doctest::skip(not_watched)) {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        pool_resource pool(hand_ticked(source));
        void* block = pool.allocate(64);
        check_stops([&] { pool.deallocate(block, 96); }, {"wrong size", text_of(block), "64 B", "96 B"});
        check_stops([&] { pool.deallocate(block, 1); }, {"wrong size", text_of(block), "64 B", "16 B"});
        check_stops([&] { pool.deallocate(block, 64, 128); }, {"wrong size", text_of(block), "64 B", "128 B"});
        check_stops([&] { pool.deallocate(block, 40'000); }, {text_of(block), "40000"});
        pool.deallocate(block, 60);  // the same size class, so this is no error
    }
}

TEST_CASE("a large block freed with a wrong size or twice is caught" * doctest::skip(not_watched)) {
    pool_resource pool(hand_ticked());
    void* block = pool.allocate(40'000);
    check_stops([&] { pool.deallocate(block, 40'001); }, {"wrong size", text_of(block), "40000", "40001"});
    check_stops([&] { pool.deallocate(block, 40'000, 8192); }, {"wrong size", text_of(block), "8192"});
    check_stops([&] { pool.deallocate(block, 64); }, {text_of(block), "64 B"});
    pool.deallocate(block, 40'000);
    check_stops([&] { pool.deallocate(block, 40'000); }, {text_of(block), "40000"});
}

TEST_CASE("a pointer that no pool returned is caught" * doctest::skip(not_watched)) {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        pool_resource pool(hand_ticked(source)), unused(hand_ticked(source));
        void* block = pool.allocate(64);
        const std::unique_ptr<int> elsewhere(new int(0));
        int local = 0;
        for (void* foreign : {static_cast<void*>(elsewhere.get()), static_cast<void*>(&local),
                              static_cast<void*>(static_cast<std::byte*>(block) + 16)}) {
            check_stops([&] { pool.deallocate(foreign, 64); }, {"foreign pointer", text_of(foreign), "64 B"});
            check_stops([&] { unused.deallocate(foreign, 64); }, {"foreign pointer", text_of(foreign), "64 B"});
        }
        pool.deallocate(block, 64);
    }
}

TEST_CASE("freeing a block into another pool is caught" * doctest::skip(not_watched)) {
    pool_resource mine(hand_ticked()), other(hand_ticked());
    churn(other);
    void* block = mine.allocate(64);
    check_stops([&] { other.deallocate(block, 64); }, {"foreign pointer", text_of(block), "64 B"});
    mine.deallocate(block, 64);
}

TEST_CASE("allocators catch the same misuse as pool_resource" * doctest::skip(not_watched)) {
    const support::calm quiet;  // the chaos build would drop blocks, which then have left the pool
    pool_resource pool(hand_ticked());
    tidepool::pool_allocator<std::uint64_t> stateful(pool);
    std::uint64_t* block = stateful.allocate(8);
    check_stops([&] { stateful.deallocate(block, 9); }, {"wrong size", text_of(block), "64 B", "80 B"});
    check_stops([&] { tidepool::allocator<std::uint64_t>().deallocate(block, 8); },
                {"foreign pointer", text_of(block), "64 B"});
    stateful.deallocate(block, 8);
    check_stops([&] { stateful.deallocate(block, 8); }, {"double free", text_of(block), "64 B"});
}

TEST_CASE("a block pool catches double frees and foreign pointers" * doctest::skip(not_watched)) {
    const support::calm quiet;  // the chaos build would drop blocks, which then have left the pool
    tidepool::block_pool pool(100, 16, hand_ticked()), other(100, 16, hand_ticked());
    void* block = pool.allocate();
    int local = 0;
    check_stops([&] { other.deallocate(block); }, {"foreign pointer", text_of(block), "112 B"});
    check_stops([&] { pool.deallocate(&local); }, {"foreign pointer", text_of(&local), "112 B"});
    pool.deallocate(block);
    check_stops([&] { pool.deallocate(block); }, {"double free", text_of(block), "112 B"});
}

TEST_CASE("an object pool catches an object put twice and a foreign object" * doctest::skip(not_watched)) {
    const support::calm quiet;  // the chaos build would drop blocks, which then have left the pool
    tidepool::object_pool<std::uint64_t> pool({}, {}, hand_ticked_objects()), other({}, {}, hand_ticked_objects());
    std::uint64_t* object = pool.get();
    std::uint64_t local = 0;
    check_stops([&] { other.put(object); }, {"foreign pointer", text_of(object)});
    check_stops([&] { other.discard(object); }, {text_of(object)});
    check_stops([&] { pool.put(&local); }, {"foreign pointer", text_of(&local)});
    pool.put(object);
    check_stops([&] { pool.put(object); }, {"double free", text_of(object)});
    check_stops([&] { pool.discard(object); }, {text_of(object)});
    object = pool.get();
    pool.discard(object);
    check_stops([&] { pool.put(object); }, {text_of(object)});
}

}  // namespace

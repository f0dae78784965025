// Address sanitizer builds: a cached block is poisoned, and a block in use is fully accessible.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/block_pool.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "calm.hpp"
#include "died.hpp"
#include "held_blocks.hpp"
#include "scale.hpp"
#include "setups.hpp"

namespace {

using namespace conformance;
using tidepool::pool_resource;

constexpr bool not_poisoned = !support::under_asan;

// Volatile, so that the compiler keeps the access.
void read(const void* p) { static_cast<void>(*static_cast<const volatile unsigned char*>(p)); }
void write(void* p) { *static_cast<volatile unsigned char*>(p) = 1; }

void check_off_limits(void* p) {
    for (const auto& end : {support::died([&] { read(p); }), support::died([&] { write(p); })}) {
        CAPTURE(end.text);
        CHECK(end.violent());
        CHECK(end.said("use-after-poison"));
    }
}

TEST_CASE("touching the first or last byte of a block freed into a pool is an error" * doctest::skip(not_poisoned)) {
    const support::calm quiet;
    for (const setup& each : every_setup()) {
        CAPTURE(each.name);
        pool_resource pool(hand_ticked(each.source), each.from);
        for (const std::size_t bytes : {16U, 64U, 1000U, 32'768U}) {
            auto* block = static_cast<std::byte*>(pool.allocate(bytes));
            pool.deallocate(block, bytes);
            check_off_limits(block);
            check_off_limits(block + bytes - 1);
        }
        pool.tick();
        void* block = pool.allocate(64);
        read(block);
        pool.deallocate(block, 64);
    }
}

TEST_CASE("touching a block that was refilled but never allocated is an error" * doctest::skip(not_poisoned)) {
    const support::calm quiet;
    // Allocates pieces of one array, so that the test knows where the blocks are that the pool did not return to it.
    struct {
        alignas(4096) unsigned char memory[64 * 256];
        std::size_t used = 0;
        void* allocate(std::size_t bytes, std::size_t) noexcept {
            void* p = memory + used;
            used += bytes;
            return used <= sizeof memory ? p : nullptr;
        }
        void deallocate(void*, std::size_t, std::size_t) noexcept {}
    } upstream;
    {
        pool_resource pool(hand_ticked(tidepool::block_source::direct), upstream);
        std::set<void*> mine;
        for (int i = 0; i < 3; ++i) mine.insert(pool.allocate(64));
        std::size_t never_handed_out = 0;
        for (std::size_t at = 0; at < upstream.used; at += 64)
            if (!mine.contains(upstream.memory + at) && ++never_handed_out <= 3) check_off_limits(upstream.memory + at);
        CHECK(never_handed_out > 0);
        for (void* each : mine) pool.deallocate(each, 64);
    }
    // Memory that was returned to the upstream is accessible to the upstream.
    std::memset(upstream.memory, 0, sizeof upstream.memory);

    pool_resource pool(hand_ticked());
    auto* block = static_cast<std::byte*>(pool.allocate(64));
    constexpr std::uintptr_t span_bytes = 65'536;
    const bool last = reinterpret_cast<std::uintptr_t>(block) % span_bytes == span_bytes - 64;
    check_off_limits(last ? block - 64 : block + 64);
    pool.deallocate(block, 64);
}

TEST_CASE("touching an idle object is an error" * doctest::skip(not_poisoned)) {
    const support::calm quiet;
    tidepool::object_pool<std::uint64_t> pool({}, {}, hand_ticked_objects());
    std::uint64_t* object = pool.get();
    pool.put(object);
    check_off_limits(object);
    CHECK(pool.try_get() == object);
    *object = 1;
    pool.put(object);
}

TEST_CASE("cached blocks of allocators and block pools are poisoned" * doctest::skip(not_poisoned)) {
    const support::calm quiet;
    int* p = tidepool::allocator<int>().allocate(10);
    tidepool::allocator<int>().deallocate(p, 10);
    check_off_limits(p);
    tidepool::block_pool pool(100, 16, hand_ticked());
    void* block = pool.allocate();
    pool.deallocate(block);
    check_off_limits(block);
}

TEST_CASE("all bytes of a block in use are accessible, whatever it was before" * doctest::skip(not_poisoned)) {
    pool_resource pool(hand_ticked());
    for (int round = 0; round < 4; ++round) {
        held_blocks held;
        for (std::size_t bytes = 1; bytes <= 32'768; bytes = bytes * 5 / 4 + 1)
            for (int i = 0; i < 20; ++i) held.take(pool, bytes);
        held.give_back(pool);
        pool.tick();
        if (round == 2) pool.release();
    }
}

}  // namespace

// tidepool/decorators.hpp and tidepool/upstream_from.hpp
#include <tidepool/decorators.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory_resource>
#include <new>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <tidepool/block_pool.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/upstream_from.hpp>

#include "calm.hpp"
#include "candidates.hpp"
#include "counting_upstream.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"
#include "traffic.hpp"

namespace {

using adapters::hand_ticked;

// Checks every call and records the most bytes that it ever held.
struct witness {
    std::atomic<std::size_t> live{0}, peak{0};

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const std::size_t now = live += bytes;
        std::size_t most = peak;
        while (most < now && !peak.compare_exchange_weak(most, now)) {
        }
        return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t) noexcept {
        std::free(p);
        live -= bytes;
    }
};

struct temporary_file {
    std::string path = "/tmp/tidepool-log-XXXXXX";
    temporary_file() { close(mkstemp(path.data())); }
    ~temporary_file() { unlink(path.c_str()); }
    std::vector<std::string> lines() const {
        std::ifstream in(path);
        std::vector<std::string> all;
        for (std::string line; std::getline(in, line);) all.push_back(line);
        return all;
    }
};

}  // namespace

TEST_CASE("eight threads and three pools never exceed the byte limit") {
    for (const std::size_t bytes_max : {std::size_t{300'000}, std::size_t{2'000'001}}) {
        CAPTURE(bytes_max);
        witness below;
        {
            tidepool::limited_upstream limit(below, bytes_max);
            tidepool::counting_upstream above(limit);  // the limit must find the pool through another decorator
            tidepool::pool_resource spans(hand_ticked(), above),
                direct(hand_ticked(tidepool::block_source::direct), limit);
            tidepool::block_pool blocks(100, 16, hand_ticked(), above);
            std::atomic<std::size_t> refused{0};
            const std::size_t held_twice = support::traffic(
                8, support::scaled(40'000), support::mixed_sizes(),
                [&](std::size_t bytes) -> void* {
                    try {
                        return bytes <= 100      ? blocks.allocate()
                               : bytes % 32 == 0 ? direct.allocate(bytes)
                                                 : spans.allocate(bytes);
                    } catch (const std::bad_alloc&) {
                        ++refused;
                        return nullptr;
                    }
                },
                [&](void* p, std::size_t bytes) {
                    bytes <= 100      ? blocks.deallocate(p)
                    : bytes % 32 == 0 ? direct.deallocate(p, bytes)
                                      : spans.deallocate(p, bytes);
                });
            CHECK(held_twice == 0);
            CHECK(below.peak <= bytes_max);
            CHECK(limit.bytes_live() == below.live);
            if (bytes_max < 1'000'000) CHECK(refused > 0);
            CHECK_THROWS_AS(static_cast<void>(spans.allocate(bytes_max + 1)), std::bad_alloc);
        }
        CHECK(below.live == 0);
    }
}

TEST_CASE("an allocation of exactly the limit succeeds") {
    witness below;
    tidepool::limited_upstream limit(below, 1000);
    void* all = limit.allocate(1000, 8);
    CHECK(all != nullptr);
    CHECK(limit.allocate(1, 8) == nullptr);
    limit.deallocate(all, 1000, 8);
    std::vector<void*> out(20);
    CHECK(limit.allocate_batch(90, 2, out.data(), out.size()) == 11);
    limit.deallocate_batch(90, 2, out.data(), 11);
    CHECK(limit.allocate(static_cast<std::size_t>(-1), 8) == nullptr);
    CHECK(limit.allocate_batch(static_cast<std::size_t>(-1) / 2, 8, out.data(), 20) == 0);
    CHECK(limit.bytes_live() == 0);
}

TEST_CASE("at the limit, pools that draw from it are reclaimed and other pools are not") {
    const support::calm quiet;
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        witness below, elsewhere_below;
        tidepool::limited_upstream limit(below, 1 << 20), elsewhere(elsewhere_below, 1 << 20);
        tidepool::pool_options options = hand_ticked(source);
        options.local_bytes_max = 1 << 20;
        options.depot_bytes_max = 0;
        tidepool::pool_resource rich(options, limit), poor(options, limit), other(options, elsewhere);
        const auto fill = [](tidepool::pool_resource& pool) {
            std::vector<void*> held;
            try {
                for (;;) held.push_back(pool.allocate(1000));
            } catch (const std::bad_alloc&) {
            }
            const std::size_t count = held.size();
            for (void* p : held) pool.deallocate(p, 1000);
            return count;
        };
        std::thread([&] { CHECK(fill(rich) > 800); }).join();  // exits with a full local
        other.deallocate(other.allocate(1000), 1000);
        CHECK(rich.stats().blocks_cached > 800);
        CHECK(fill(poor) > 800);
        CHECK(rich.stats().blocks_cached == 0);
        CHECK(other.stats().blocks_cached > 0);
        CHECK(other.stats().ticks == 0);
        CHECK(below.peak <= 1 << 20);
    }
}

TEST_CASE("counting_upstream agrees with the checking upstream that it decorates") {
    support::counting_upstream books;
    {
        tidepool::counting_upstream counter(books);
        tidepool::pool_resource pool(hand_ticked(tidepool::block_source::direct), counter);
        const std::size_t held_twice = support::traffic(
            4, support::scaled(20'000), support::mixed_sizes(), [&](std::size_t bytes) { return pool.allocate(bytes); },
            [&](void* p, std::size_t bytes) { pool.deallocate(p, bytes); });
        CHECK(held_twice == 0);
        const auto counts = counter.counted();
        const auto seen = books.counted();
        CHECK(counts.allocations == seen.calls);
        CHECK(counts.deallocations == seen.returns);
        CHECK(counts.bytes_live == seen.bytes_live());
        CHECK(counts.blocks_live() == seen.blocks_live);
        CHECK(counts.bytes_peak >= counts.bytes_live);
        CHECK(counts.failures == 0);
        books.fail_at(1);
        CHECK(counter.allocate(100, 8) == nullptr);
        CHECK(counter.counted().failures == 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("logging_upstream writes one line for each call, enough to trace each block") {
    temporary_file file;
    std::uint64_t calls = 0;
    {
        tidepool::counting_upstream books(tidepool::libc_upstream());
        tidepool::logging_upstream log(books, file.path.c_str());
        {
            tidepool::pool_resource pool(hand_ticked(tidepool::block_source::direct), log);
            support::on_threads(4, [&](std::size_t me) {
                std::vector<void*> held;
                for (std::size_t i = 0; i < 200; ++i) held.push_back(pool.allocate(100 * (1 + me)));
                for (void* p : held) pool.deallocate(p, 100 * (1 + me));
            });
            pool.trim();
        }
        const auto counts = books.counted();
        calls = counts.allocations + counts.deallocations + counts.purges;
        CHECK(log.lines_lost() == 0);
        CHECK(log.backing().name() == std::string("counting"));
    }
    std::map<std::string, std::size_t> live;
    std::size_t lines = 0;
    for (const std::string& line : file.lines()) {
        std::istringstream in(line);
        double seconds = 0;
        long thread = 0;
        std::string what, address;
        std::size_t bytes = 0, alignment = 0;
        in >> seconds >> thread >> what >> address >> bytes >> alignment;
        CAPTURE(line);
        REQUIRE(in);
        CHECK(seconds > 0);
        CHECK(thread > 0);
        ++lines;
        if (what == "allocate") {
            CHECK(live.emplace(address, bytes).second);
        } else if (what == "deallocate") {
            CHECK(live.at(address) == bytes);
            live.erase(address);
        } else {
            CHECK(what == "purge");
        }
    }
    CHECK(live.empty());
    CHECK(lines == calls);
    CHECK_THROWS_AS(tidepool::logging_upstream(tidepool::libc_upstream(), "/no/such/folder/log"), std::system_error);
}

TEST_CASE("failing_upstream fails at exactly the requested calls") {
    tidepool::failing_upstream failing(tidepool::libc_upstream());
    const auto serves = [&] {
        void* p = failing.allocate(64, 16);
        if (p) failing.deallocate(p, 64, 16);
        return p != nullptr;
    };
    CHECK(serves());
    failing.fail_at(2);
    CHECK(serves());
    CHECK_FALSE(serves());
    CHECK(serves());
    failing.fail_from(2);
    CHECK(serves());
    for (int i = 0; i < 5; ++i) CHECK_FALSE(serves());
    failing.never_fail();
    for (int i = 0; i < 5; ++i) CHECK(serves());
    CHECK(failing.failures() == 6);

    std::vector<bool> first, second;
    for (auto* run : {&first, &second}) {
        failing.fail_one_in(4, support::seed());
        for (int i = 0; i < 1000; ++i) run->push_back(serves());
    }
    CHECK(first == second);
    const auto served = std::count(first.begin(), first.end(), true);
    CHECK(served > 650);
    CHECK(served < 850);
    failing.fail_one_in(1, 0);
    CHECK_FALSE(serves());
}

TEST_CASE("a failure injected at any call leaks nothing, over every upstream") {
    for (const adapters::candidate& each : adapters::every_candidate()) {
        if (!each.serious) continue;
        for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
            CAPTURE(each.name);
            tidepool::counting_upstream books(each.from);
            bool reached = true;
            for (std::uint64_t n = 1; reached; n += 1 + n / 20) {
                REQUIRE(n < 100'000);
                tidepool::failing_upstream failing(books);
                {
                    tidepool::pool_resource pool(hand_ticked(source), failing);
                    failing.fail_at(n);
                    for (int round = 0; round < 2; ++round) {
                        try {
                            std::pmr::map<int, std::pmr::string> lines(&pool);
                            for (int i = 0; i < 60; ++i)
                                lines.emplace(i, std::pmr::string(static_cast<std::size_t>(i) * 1000, 'x', &pool));
                        } catch (const std::bad_alloc&) {
                        }
                        failing.never_fail();
                    }
                    CHECK(pool.stats().blocks_in_use == 0);
                    reached = failing.failures() > 0;
                }
                CHECK(books.counted().blocks_live() == 0);
            }
        }
    }
}

TEST_CASE("retrying_upstream calls its callback to free memory, a bounded number of times") {
    witness below;
    tidepool::limited_upstream limit(below, 100'000);
    void* hoard = limit.allocate(90'000, 16);
    int calls = 0;
    tidepool::retrying_upstream retrying(limit, [&](std::size_t bytes, std::size_t) {
        ++calls;
        if (bytes > 80'000) return true;  // claims success but frees nothing
        if (!hoard) return false;
        limit.deallocate(hoard, 90'000, 16);
        hoard = nullptr;
        return true;
    });
    tidepool::pool_resource pool(hand_ticked(), retrying);
    void* p = pool.allocate(1000);  // a span of 64 KiB
    CHECK(p != nullptr);
    CHECK(calls == 1);
    CHECK(hoard == nullptr);
    pool.deallocate(p, 1000);
    pool.trim();
    calls = 0;
    CHECK_THROWS_AS(static_cast<void>(pool.allocate(200'000)), std::bad_alloc);
    CHECK(calls >= tidepool::retrying_upstream::retries_max);
    CHECK(calls <= 2 * tidepool::retrying_upstream::retries_max);
}

TEST_CASE("decorators pass on the optional members of their upstream") {
    struct able : witness {
        int purges = 0, discards = 0;
        void purge() noexcept { ++purges; }
        void discard(void*, std::size_t) noexcept { ++discards; }
        bool heartbeat_safe() const noexcept { return true; }
        std::size_t good_size(std::size_t bytes) const noexcept { return bytes + 16; }
        void release() noexcept {}
    } below;
    tidepool::counting_upstream first(below);
    tidepool::limited_upstream second(first, 1 << 30);
    tidepool::failing_upstream third(second);
    tidepool::logging_upstream fourth(third, "/dev/null");
    const tidepool::upstream top(fourth);
    CHECK(top.heartbeat_safe());
    CHECK(top.good_size(100) == 116);
    CHECK_FALSE(top.releases());  // it would take back the memory of other users, too
    for (const void* each :
         {static_cast<const void*>(&below), static_cast<const void*>(&first), static_cast<const void*>(&second),
          static_cast<const void*>(&third), static_cast<const void*>(&fourth)})
        CHECK(top.draws_from(each));
    CHECK_FALSE(top.draws_from(&top));
    top.purge();
    int anything = 0;
    top.discard(&anything, sizeof anything);
    CHECK(below.purges == 1);
    CHECK(below.discards == 1);
    CHECK(first.counted().purges == 1);
    CHECK(tidepool::block_pool(100, 16, hand_ticked(tidepool::block_source::direct), top).block_bytes() == 128);
    CHECK(tidepool::block_pool(100, 16, hand_ticked(), top).block_bytes() == 112);
}

// src: base/asymmetric_fence.hpp: how a pool works if the kernel lacks membarrier. fast_path.cpp tests the fence
// itself.
#include "base/asymmetric_fence.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <thread>
#include <vector>

#include "counting_upstream.hpp"
#include "died.hpp"
#include "filter.hpp"
#include "scale.hpp"
#include "threads.hpp"
#include "traffic.hpp"
#include "worker.hpp"

#include <tidepool/pool_resource.hpp>

namespace asymmetric_fence = tidepool::detail::asymmetric_fence;

using namespace std::chrono_literals;

namespace {

// Pools that are constructed in its lifetime behave as on a kernel without membarrier.
struct no_membarrier {
    no_membarrier() { asymmetric_fence::pretend_missing(true); }
    ~no_membarrier() { asymmetric_fence::pretend_missing(false); }
};

tidepool::pool_options ticks_by_hand(tidepool::block_source source) {
    tidepool::pool_options options;
    options.decay_interval = 0ms;
    options.source = source;
    return options;
}

constexpr std::array both_sources{tidepool::block_source::spans, tidepool::block_source::direct};

}  // namespace

TEST_CASE("without membarrier no local is visited") {
    const bool before = asymmetric_fence::available();
    {
        const no_membarrier missing;
        CHECK_FALSE(asymmetric_fence::available());
    }
    CHECK(asymmetric_fence::available() == before);
}

TEST_CASE("membarrier that is refused some day is done without from then on") {
    if (support::under_tsan) return;  // threads in a child
    tidepool::pool_resource pool(ticks_by_hand(tidepool::block_source::spans));
    pool.deallocate(pool.allocate(100), 100);
    const support::death child = support::died([&] {
        support::worker other;
        const auto use = [&] {
            std::vector<void*> taken;
            for (int i = 0; i < 3000; ++i) taken.push_back(pool.allocate(100));
            for (void* each : taken) pool.deallocate(each, 100);
        };
        other.run(use);
        pool.tick();
        if (!support::filter_calls({SYS_membarrier}, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW)) return;
        for (int round = 0; round < 3; ++round) {
            use();
            other.run(use);
            pool.tick();
            use();
            pool.trim();
            if (pool.stats().bytes_cached != 0) std::_Exit(2);  // the caller's own magazines are reached
            use();
            pool.tick();
            pool.tick();
            if (pool.stats().bytes_cached != 0) std::_Exit(3);
        }
        if (pool.stats().membarrier_refused != 1) std::_Exit(4);
        if (pool.stats().hits_private == 0) std::_Exit(5);
    });
    CHECK(child.exit_status == 0);
    CHECK(child.signal == 0);
}

TEST_CASE("a process with one thread asks for no membarrier") {
    if (support::under_asan || support::under_tsan) return;  // which ask for it themselves, or start threads
    const support::death child = support::died([] {
        if (!support::filter_calls({SYS_membarrier}, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW)) return;
        tidepool::pool_resource pool;
        for (int i = 0; i < 1000; ++i) pool.deallocate(pool.allocate(100), 100);
        pool.tick();
        pool.trim();
        if (pool.stats().bytes_cached != 0) std::_Exit(2);
        const pid_t again = ::fork();
        if (again == 0) {
            pool.tick();
            pool.trim();
            std::_Exit(pool.stats().bytes_cached == 0 ? 0 : 1);
        }
        int status = -1;
        if (::waitpid(again, &status, 0) != again || status != 0) std::_Exit(3);
    });
    CHECK(child.exit_status == 0);
    CHECK(child.signal == 0);
}

TEST_CASE("without membarrier ticks and trims under load lose no block") {
    const no_membarrier missing;
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            std::atomic<bool> over{false};
            std::thread disturber([&] {
                while (!over) {
                    pool.tick();
                    static_cast<void>(pool.trim(100'000));
                    static_cast<void>(pool.stats());
                    std::this_thread::sleep_for(100us);
                }
            });
            std::size_t held_twice = 0;
            // In a thread of its own, which frees the rest at its end; nobody could take its private magazines.
            std::thread([&] {
                held_twice = support::traffic(
                    4, support::scaled(200'000), support::mixed_sizes(),
                    [&](std::size_t bytes) { return pool.allocate(bytes, 8); },
                    [&](void* block, std::size_t bytes) { pool.deallocate(block, bytes, 8); });
            }).join();
            over = true;
            disturber.join();
            CHECK(held_twice == 0);
            // The threads have exited, so others can take their magazines.
            pool.tick();
            pool.tick();
            CHECK(books.counted().bytes_live() == 0);
        }
        CHECK(books.balanced());
    }
}

TEST_CASE("without membarrier a sleeping thread keeps at most two small magazines a class") {
    const no_membarrier missing;
    constexpr std::size_t bytes = 64, blocks = 5000;
    support::counting_upstream books;
    {
        tidepool::pool_resource pool(ticks_by_hand(tidepool::block_source::direct), books);
        support::worker sleeper;
        const auto use = [&] {
            std::vector<void*> taken;
            for (std::size_t i = 0; i < blocks; ++i) taken.push_back(pool.allocate(bytes, 8));
            for (void* each : taken) pool.deallocate(each, bytes, 8);
        };
        sleeper.run(use);
        CHECK(books.counted().bytes_live() >= blocks * bytes / 2);
        pool.tick();
        pool.tick();
        CHECK(books.counted().bytes_live() <= 2 * 2048);
        // When it wakes up, it ages its own stock.
        sleeper.run(use);
        pool.tick();
        pool.tick();
        CHECK(books.counted().bytes_live() <= 2 * 2048);
    }
    CHECK(books.balanced());
}

TEST_CASE("without membarrier stock of an exited thread serves others and decays") {
    const no_membarrier missing;
    for (const auto source : both_sources) {
        support::counting_upstream books;
        {
            tidepool::pool_resource pool(ticks_by_hand(source), books);
            std::thread([&] {
                std::vector<void*> taken;
                for (int i = 0; i < 1000; ++i) taken.push_back(pool.allocate(64, 8));
                for (void* each : taken) pool.deallocate(each, 64, 8);
            }).join();
            CHECK(books.counted().bytes_live() > 0);
            pool.tick();
            pool.tick();
            CHECK(books.counted().bytes_live() == 0);
        }
        CHECK(books.balanced());
    }
}

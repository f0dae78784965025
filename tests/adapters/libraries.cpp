// mimalloc and jemalloc, both linked into this program: what is specific to each, beyond the common suite.
#include <doctest/doctest.h>

#include <dlfcn.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/pool_resource.hpp>
#include <tidepool/tick.hpp>

#include "base/clock.hpp"
#include "candidates.hpp"
#include "clock/registry.hpp"
#include "memory_use.hpp"
#include "reach.hpp"
#include "scale.hpp"
#include "threads.hpp"
#include "worker.hpp"

#if defined(TIDEPOOL_TESTS_JEMALLOC)
#include "adapters/jemalloc/heartbeat_hook.hpp"
#include "adapters/jemalloc/names.hpp"
#endif

namespace {

using adapters::hand_ticked;
using namespace std::chrono_literals;

constexpr std::size_t mib = 1 << 20;

template <class Condition, class Deed>
[[maybe_unused]] void until(Condition holds, Deed deed) {
    const auto patience = std::chrono::steady_clock::now() + 2min;
    while (!holds()) {
        deed();
        REQUIRE(std::chrono::steady_clock::now() < patience);
    }
}

// Starts `count` threads, four at a time; each uses the pool, allocates from `beside`, and exits.
[[maybe_unused]] void come_and_go(std::size_t count, tidepool::pool_resource& pool, std::pmr::memory_resource& beside) {
    for (std::size_t i = 0; i < count; i += 4) {
        std::vector<std::jthread> batch;
        for (int t = 0; t < 4; ++t)
            batch.emplace_back([&] {
                std::pmr::list<std::pmr::string> lines(&pool), others(&beside);
                for (std::size_t n = 0; n < 100; ++n) {
                    lines.emplace_back(n * 10, 'x');
                    others.emplace_back(n * 10, 'x');
                }
            });
    }
}

// Checks that resident memory stays flat while ten times as many threads come and go as before.
[[maybe_unused]] void threads_leave_nothing(const tidepool::upstream& below, std::pmr::memory_resource& beside) {
    tidepool::pool_options options;
    options.decay_interval = 1ms;  // so that ticks come at any moment, also during the threads' exits
    tidepool::pool_resource pool(options, below);
    const std::size_t threads = support::scaled(3000);
    come_and_go(threads / 10, pool, beside);
    const std::size_t before = support::resident_bytes();
    come_and_go(threads, pool, beside);
    if constexpr (support::resident_is_ours) CHECK(support::resident_bytes() < before + 16 * mib);
    CHECK(pool.stats().blocks_in_use == 0);
}

// Eight sleeping threads hold 8 MiB each that other threads allocated. Checks how much stays resident after ticks.
[[maybe_unused]] void sleepers_keep_nothing(const tidepool::upstream& below, std::size_t left_max) {
    if (!support::resident_is_ours || !support::others_in_reach()) return;
    constexpr std::size_t each_bytes = 8 * mib, threads = 8;
    tidepool::pool_resource pool(hand_ticked(), below);
    std::vector<std::unique_ptr<support::worker>> workers;
    std::vector<std::vector<std::pair<void*, std::size_t>>> held(threads);
    for (std::size_t t = 0; t < threads; ++t) workers.push_back(std::make_unique<support::worker>());
    const std::size_t before = support::resident_bytes();
    for (std::size_t t = 0; t < threads; ++t)
        workers[t]->run([&, t] {
            for (std::size_t total = 0, bytes = 16; total < each_bytes; total += bytes, bytes = bytes * 5 % 4001 + 16) {
                held[t].emplace_back(pool.allocate(bytes), bytes);
                std::memset(held[t].back().first, 1, bytes);
            }
        });
    CHECK(pool.stats().bytes_in_use >= each_bytes * threads);  // all of it was written
    for (std::size_t t = 0; t < threads; ++t)
        workers[t]->run([&, t] {
            for (const auto& [p, bytes] : held[(t + 1) % threads]) pool.deallocate(p, bytes);
            held[(t + 1) % threads] = {};
        });
    for (int i = 0; i < 3; ++i) pool.tick();
    CHECK(pool.stats().upstream_bytes == 0);
    const std::size_t after = support::resident_bytes();
    MESSAGE(std::string(below.name()), ": ", (after - std::min(before, after)) / 1024, " KiB of ",
            each_bytes * threads / 1024, " left");
    CHECK(after < before + left_max);
}

[[maybe_unused]] void serves_containers(std::pmr::memory_resource* resource) {
    std::pmr::map<int, std::pmr::string> lines(resource);
    for (int i = 0; i < 1000; ++i) lines.emplace(i, std::pmr::string(static_cast<std::size_t>(i), 'x', resource));
    CHECK(lines.at(999).size() == 999);
    CHECK_THROWS_AS(static_cast<void>(resource->allocate(std::size_t{1} << 62)), std::bad_alloc);
    CHECK(*resource == *resource);
    CHECK(*resource != *std::pmr::new_delete_resource());
}

[[maybe_unused]] std::string library_of(void* function) {
    Dl_info info{};
    REQUIRE(dladdr(function, &info) != 0);
    return info.dli_fname;
}

}  // namespace

#if !defined(TIDEPOOL_JEMALLOC_SHARED)
// The sanitizers replace malloc.
TEST_CASE("linking the adapters does not replace malloc or operator new" *
          doctest::skip(support::under_asan || support::under_tsan)) {
    const bool shim = std::getenv("TIDEPOOL_TESTS_SHIM");
    const auto is_of = [&](void* function, const char* library) {
        return library_of(function).find(shim ? "libtidepool_malloc" : library) != std::string::npos;
    };
    CHECK(is_of(reinterpret_cast<void*>(&std::malloc), "libc.so"));
    CHECK(is_of(reinterpret_cast<void*>(static_cast<void* (*)(std::size_t)>(&::operator new)), "libstdc++.so"));
}
#endif

#if defined(TIDEPOOL_TESTS_MIMALLOC)

TEST_CASE("mimalloc: name() gives the version") {
    MESSAGE(std::string(tidepool::mimalloc_upstream().name()));
    CHECK(std::string(tidepool::mimalloc_upstream().name()).find("mimalloc ") == 0);
}

TEST_CASE("mimalloc: thousands of threads that allocate and exit leave no memory behind" *
          doctest::skip(!adapters::threads_can_be_watched)) {
    threads_leave_nothing(tidepool::mimalloc_upstream(), *tidepool::mimalloc_resource());
}

TEST_CASE("mimalloc: decayed memory of sleeping threads leaves the process") {
    sleepers_keep_nothing(tidepool::mimalloc_upstream(), 6 * mib);
}

TEST_CASE("mimalloc: containers work with mimalloc_resource()") { serves_containers(tidepool::mimalloc_resource()); }

TEST_CASE("mimalloc: a heap allocates for its own thread only and frees for any thread") {
    tidepool::mimalloc_heap heap;
    void* p = heap.allocate(100, 16);
    REQUIRE(p != nullptr);
    std::thread([&] {
        CHECK(heap.allocate(100, 16) == nullptr);
        heap.purge();
        heap.deallocate(p, 100, 16);
    }).join();
    CHECK(heap.allocate(5'000'000, 4096) != nullptr);  // freed with the heap
}

namespace {

struct heard {
    int calls = 0, forced = 0;
    void* argument = nullptr;
} last_heard;

}  // namespace

TEST_CASE("mimalloc: mimalloc_pass_on() chains a callback, and a forced call ticks nothing") {
    static_cast<void>(tidepool::mimalloc_upstream());
    int mark = 0;
    tidepool::mimalloc_pass_on(
        [](bool force, unsigned long long, void* argument) {
            ++last_heard.calls;
            last_heard.forced += force;
            last_heard.argument = argument;
        },
        &mark);
    std::thread([] {
        // Reaches mimalloc's slow paths and the thread's exit.
        for (int i = 0; i < 100; ++i)
            tidepool::mimalloc_resource()->deallocate(tidepool::mimalloc_resource()->allocate(100'000), 100'000);
    }).join();
    CHECK(last_heard.calls > 1);
    CHECK(last_heard.forced >= 1);
    CHECK(last_heard.argument == &mark);
    tidepool::mimalloc_pass_on(nullptr, nullptr);

    tidepool::pool_resource due({.decay_interval = 1ms}, tidepool::mimalloc_upstream());
    due.deallocate(due.allocate(100), 100);
    std::this_thread::sleep_for(20ms);
    const std::uint64_t before = due.stats().ticks;
    for (int i = 0; i < 100; ++i) tidepool::mimalloc_heartbeat(true, 0, nullptr);
    CHECK(due.stats().ticks == before);
    until([&] { return due.stats().ticks > before; }, [] { tidepool::mimalloc_heartbeat(false, 0, nullptr); });
}

#endif

#if defined(TIDEPOOL_TESTS_JEMALLOC)

TEST_CASE("jemalloc: name() gives the version and the heartbeat") {
    const std::string name = tidepool::jemalloc_upstream().name();
    MESSAGE(name);
    CHECK(name.find("jemalloc ") == 0);
    if (name.find(" 5.3.0 ") != std::string::npos)
        CHECK(name.find("(heartbeat: activity callback)") != std::string::npos);
}

TEST_CASE("jemalloc: thousands of threads that allocate and exit leave no memory behind" *
          doctest::skip(!adapters::threads_can_be_watched)) {
    threads_leave_nothing(tidepool::jemalloc_upstream(), *tidepool::jemalloc_resource());
}

TEST_CASE("jemalloc: decayed memory of sleeping threads leaves the process") {
    sleepers_keep_nothing(tidepool::jemalloc_upstream(), 6 * mib);
    tidepool::jemalloc_arena arena({.dirty_decay = -1ms, .muzzy_decay = -1ms});  // only purge() returns memory
    sleepers_keep_nothing(arena, 6 * mib);
}

TEST_CASE("jemalloc: containers work with jemalloc_resource()") { serves_containers(tidepool::jemalloc_resource()); }

TEST_CASE("jemalloc: arenas are distinct, keep their decay times, and are reused") {
    const auto decay_of = [](const tidepool::jemalloc_arena& arena, const char* kind) {
        const std::string name = "arena." + std::to_string(arena.index()) + "." + kind;
        ssize_t ms = -2;
        std::size_t bytes = sizeof ms;
        CHECK(tidepool_je_mallctl(name.c_str(), &ms, &bytes, nullptr, 0) == 0);
        return ms;
    };
    unsigned first = 0;
    {
        const tidepool::jemalloc_arena one, two({.dirty_decay = 77ms, .muzzy_decay = -1ms});
        CHECK(one.index() != two.index());
        CHECK(decay_of(one, "dirty_decay_ms") == 1000);
        CHECK(decay_of(one, "muzzy_decay_ms") == 0);
        CHECK(decay_of(two, "dirty_decay_ms") == 77);
        CHECK(decay_of(two, "muzzy_decay_ms") == -1);
        first = one.index();
    }
    // jemalloc allows 4094 arenas at a time.
    unsigned last = first;
    for (int i = 0; i < 200; ++i) last = tidepool::jemalloc_arena().index();
    CHECK(last < first + 100);
}

TEST_CASE("jemalloc: the first heartbeat hook that the library offers is chosen") {
    using namespace tidepool::detail::jemalloc;
    const auto knowing = [](std::string known) {
        return find_heartbeat_hook([=](const char* name, std::size_t*, std::size_t*) { return known == name ? 0 : 2; });
    };
    CHECK(knowing("experimental.thread.activity_callback") == heartbeat_hook::activity_callback);
    CHECK(knowing("experimental.hooks.thread_event") == heartbeat_hook::thread_event);
    CHECK(knowing("experimental.hooks.install") == heartbeat_hook::none);
}

TEST_CASE("jemalloc: without a heartbeat hook, pools decay by their own slow path") {
    tidepool::detail::jemalloc::pretend_without_heartbeat_hook(true);
    CHECK(std::string(tidepool::jemalloc_upstream().name()).find("(no heartbeat)") != std::string::npos);
    {
        tidepool::pool_resource pool({.decay_interval = 1ms}, tidepool::jemalloc_upstream());
        tidepool::pool_resource untouched({.decay_interval = 1ms}, tidepool::jemalloc_upstream());
        const auto use = [](tidepool::pool_resource& any) {
            std::vector<void*> held;
            for (int i = 0; i < 1000; ++i) held.push_back(any.allocate(300));
            for (void* p : held) any.deallocate(p, 300);
        };
        use(untouched);
        const std::uint64_t ticks = untouched.stats().ticks;
        std::this_thread::sleep_for(10ms);
        for (int i = 0; i < 100; ++i)
            tidepool::jemalloc_resource()->deallocate(tidepool::jemalloc_resource()->allocate(100'000), 100'000);
        CHECK(untouched.stats().ticks == ticks);  // no heartbeat reached it
        until([&] { return untouched.stats().upstream_bytes == 0 && pool.stats().ticks > 1; }, [&] { use(pool); });
    }
    tidepool::detail::jemalloc::pretend_without_heartbeat_hook(false);
}

TEST_CASE("jemalloc: the activity callback that a thread had before is still called") {
    using tidepool::detail::jemalloc::activity_callback;
    if (std::string(tidepool::jemalloc_upstream().name()).find("activity callback") == std::string::npos) return;
    std::thread([] {
        int calls = 0;
        activity_callback theirs{[](void* context, std::uint64_t, std::uint64_t) { ++*static_cast<int*>(context); },
                                 &calls};
        REQUIRE(tidepool_je_mallctl(tidepool::detail::jemalloc::activity_callback_name, nullptr, nullptr, &theirs,
                                    sizeof theirs) == 0);
        for (int i = 0; i < 10; ++i)
            tidepool::jemalloc_resource()->deallocate(tidepool::jemalloc_resource()->allocate(100'000), 100'000);
        CHECK(calls > 5);
    }).join();
}

TEST_CASE("jemalloc: memory of an arena belongs to that arena") {
    tidepool::jemalloc_arena arena;
    void* p = arena.allocate(100, 16);
    unsigned found = 0;
    std::size_t bytes = sizeof found;
    CHECK(tidepool_je_mallctl("arenas.lookup", &found, &bytes, &p, sizeof p) == 0);
    CHECK(found == arena.index());
    CHECK(tidepool_je_sallocx(p, 0) == arena.good_size(100));
    arena.deallocate(p, 100, 16);
}

#endif

#if defined(TIDEPOOL_TESTS_MIMALLOC) && defined(TIDEPOOL_TESTS_JEMALLOC)

TEST_CASE("pools over mimalloc, over jemalloc and over another pool all decay" *
          doctest::skip(!adapters::threads_can_be_watched)) {
    tidepool::counting_upstream mi_books(tidepool::mimalloc_upstream()), je_books(tidepool::jemalloc_upstream());
    {
        tidepool::pool_resource over_mi({.decay_interval = 1ms}, mi_books), over_je({.decay_interval = 1ms}, je_books);
        tidepool::pool_resource over_pool(
            {.decay_interval = 1ms},
            &over_mi);  // not heartbeat_safe: its upstream is a memory resource of the program
        support::on_threads(4, [&](std::size_t me) {
            for (std::size_t i = 0; i < support::scaled(200); ++i) {
                std::pmr::list<std::pmr::string> one(&over_mi), two(&over_je), three(&over_pool);
                for (std::size_t n = 0; n < 50; ++n) {
                    one.emplace_back(n * 20 + me, 'x');
                    two.emplace_back(n * 20 + me, 'x');
                    three.emplace_back(n * 20 + me, 'x');
                }
            }
        });
        until(
            [&] {
                return over_je.stats().upstream_bytes == 0 && over_mi.stats().bytes_cached == 0 &&
                       over_pool.stats().upstream_bytes == 0;
            },
            [&] { static_cast<void>(tidepool::detail::registry::tick_due(tidepool::detail::coarse_now())); });
        CHECK(over_mi.stats().blocks_in_use == 0);
    }
    CHECK(mi_books.counted().blocks_live() == 0);
    CHECK(je_books.counted().blocks_live() == 0);
}

#endif

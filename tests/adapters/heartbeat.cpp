// src: clock/heartbeat.hpp, clock/registry.hpp. An upstream's heartbeat ages pools that nobody touches, and it neither
// recurses nor deadlocks when it comes at a bad moment.
#include "clock/heartbeat.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include <tidepool/decorators.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/tick.hpp>

#include "calm.hpp"
#include "candidates.hpp"
#include "reach.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;
namespace registry = tidepool::detail::registry;
using namespace std::chrono_literals;

namespace {

// Waits up to two minutes: the machine may be busy with other work.
template <class Condition, class Deed>
void until(Condition holds, Deed deed) {
    const auto patience = std::chrono::steady_clock::now() + 2min;
    while (!holds()) {
        deed();
        REQUIRE(std::chrono::steady_clock::now() < patience);
    }
}

void stock(std::pmr::memory_resource& pool, std::size_t count, std::size_t bytes) {
    std::vector<void*> held;
    for (std::size_t i = 0; i < count; ++i) held.push_back(pool.allocate(bytes));
    for (void* p : held) pool.deallocate(p, bytes);
}

tidepool::pool_options every(std::chrono::milliseconds interval) { return {.decay_interval = interval}; }

// malloc with a heartbeat at each call, which is the worst that an allocator can do. Records how deeply its calls are
// nested.
class beating {
public:
    explicit beating(bool is_leaf = true) : leaf_(is_leaf) {}

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const deeper here(*this);
        detail::heartbeat();
        return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    }
    void deallocate(void* p, std::size_t, std::size_t) noexcept {
        const deeper here(*this);
        std::free(p);
        detail::heartbeat();
    }
    void purge() noexcept {
        const deeper here(*this);
        detail::heartbeat();
    }
    bool heartbeat_safe() const noexcept { return leaf_; }

    std::size_t deepest() const { return deepest_; }

private:
    static inline thread_local std::size_t depth = 0;
    struct deeper {
        explicit deeper(beating& of) {
            std::size_t most = of.deepest_;
            ++depth;
            while (most < depth && !of.deepest_.compare_exchange_weak(most, depth)) {
            }
        }
        ~deeper() { --depth; }
    };
    const bool leaf_;
    std::atomic<std::size_t> deepest_{0};
};

// Checks for due ticks as if `time` had passed.
bool look_after(std::chrono::nanoseconds time, registry::which those) {
    return registry::tick_due(detail::coarse_now() + time, those);
}
void look_until_done(std::chrono::nanoseconds time, registry::which those) {
    until([&] { return !look_after(time, those); }, [] {});
}

}  // namespace

TEST_CASE("allocation from mimalloc or jemalloc makes an untouched pool decay") {
    for (const adapters::candidate& each : adapters::every_candidate()) {
        if (!each.serious || each.name.find("malloc") == std::string::npos ||
            each.name.find("heap") != std::string::npos)
            continue;
        CAPTURE(each.name);
        // The untouched pool draws from the upstream with the heartbeat, and then from another one.
        for (const tidepool::upstream& below : {each.from, tidepool::pages_upstream()}) {
            tidepool::counting_upstream books(below);
            tidepool::pool_resource untouched(every(1ms), books);
            std::thread([&] { stock(untouched, 3000, 700); }).join();
            REQUIRE(books.counted().bytes_live > 0);
            until([&] { return books.counted().bytes_live == 0 && books.counted().purges > 0; },
                  [&] {
                      void* p = each.from.allocate(100'000, 16);
                      each.from.deallocate(p, 100'000, 16);
                  });
            CHECK(untouched.stats().ticks >= 2);
        }
    }
}

TEST_CASE("a heartbeat during a pool's own upstream call is deferred, not lost") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        beating below;
        tidepool::pool_options options = every(1ms);
        options.source = source;
        options.local_bytes_max = 10'000;  // so that the upstream is called often
        options.depot_bytes_max = 0;
        tidepool::pool_resource pool(options, below), untouched(options, below);
        stock(untouched, 1000, 64);
        until([&] { return untouched.stats().upstream_bytes == 0 && pool.stats().ticks > 2; },
              [&] { stock(pool, 1000, 200); });
        CHECK(below.deepest() == 1);
    }
}

TEST_CASE("a heartbeat during a large request is deferred, not lost") {
    beating below;
    tidepool::pool_resource pool(every(1ms), below), untouched(every(1ms), below);
    stock(untouched, 1000, 64);
    until([&] { return untouched.stats().upstream_bytes == 0; },
          [&] { pool.deallocate(pool.allocate(100'000), 100'000); });
    CHECK(below.deepest() == 1);
}

TEST_CASE("heartbeats of many threads during ticks neither recurse nor deadlock") {
    beating below;
    {
        std::vector<std::unique_ptr<tidepool::pool_resource>> pools;
        for (int i = 0; i < 4; ++i) pools.push_back(std::make_unique<tidepool::pool_resource>(every(1ms), below));
        support::on_threads(8, [&](std::size_t me) {
            for (std::size_t i = 0; i < support::scaled(300); ++i) switch (me % 4) {
                    case 0:
                        tidepool::tick();
                        break;
                    case 1:
                        below.deallocate(below.allocate(64, 16), 64, 16);
                        break;
                    default:
                        stock(*pools[(me + i) % 4], 300, 64 * (1 + i % 7));
                }
        });
        for (const auto& each : pools) CHECK(each->stats().blocks_in_use == 0);
    }
    // An explicit tick on a thread without a slot is not marked, so its heartbeats may tick other pools, once.
    CHECK(below.deepest() <= 2);
}

TEST_CASE("a heartbeat ticks heartbeat_safe pools only; other callers tick the rest") {
    const support::calm quiet;
    look_until_done(0s, registry::which::all);
    beating leaf_below, other_below(false);
    tidepool::pool_resource heartbeat_safe(every(1h), leaf_below), other(every(1h), other_below);
    tidepool::object_pool<int> objects({}, {}, {.decay_interval = 1h});
    stock(heartbeat_safe, 10, 64);
    stock(other, 10, 64);
    objects.put(objects.get());
    look_until_done(2h, registry::which::heartbeat_safe);
    CHECK(heartbeat_safe.stats().ticks == 1);
    CHECK(other.stats().ticks == 0);
    CHECK(objects.stats().ticks == 0);
    look_until_done(2h, registry::which::all);
    CHECK(heartbeat_safe.stats().ticks == 1);
    CHECK(other.stats().ticks == 1);
    CHECK(objects.stats().ticks == 1);
    // Pools that are still due do not hide heartbeat_safe pools from a check, nor the reverse.
    look_until_done(5h, registry::which::heartbeat_safe);
    look_until_done(5h, registry::which::all);
    CHECK(heartbeat_safe.stats().ticks == 2);
    CHECK(other.stats().ticks == 2);
}

TEST_CASE("a lock shared by a program and its upstream does not deadlock") {
    // Not heartbeat_safe, although the upstream below it is.
    struct guarded {
        std::mutex lock;
        beating below;
        void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
            const std::lock_guard hold(lock);
            return below.allocate(bytes, alignment);
        }
        void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
            const std::lock_guard hold(lock);
            below.deallocate(p, bytes, alignment);
        }
    } below;
    tidepool::pool_resource pool(every(1ms), below);
    for (std::size_t i = 0; i < support::scaled(300); ++i) {
        stock(pool, 200, 500);
        const std::lock_guard hold(below.lock);
        below.below.deallocate(below.below.allocate(64, 16), 64, 16);
    }
    until([&] { return pool.stats().ticks > 1; }, [&] { stock(pool, 2000, 500); });
}

TEST_CASE("what a tick leaves is returned in slices by later clock checks, then purged once") {
    const support::calm quiet;
    look_until_done(0s, registry::which::all);
    tidepool::counting_upstream books(tidepool::libc_upstream());
    tidepool::pool_options options = every(1h);
    options.local_bytes_max = std::size_t{1} << 30;
    options.source = tidepool::block_source::direct;
    tidepool::pool_resource pool(options, books);
    stock(pool, support::slow_build ? 50'000 : 200'000, 64);
    look_until_done(2h, registry::which::all);
    const auto before = books.counted();
    CHECK(look_after(4h, registry::which::all));
    std::uint64_t live = books.counted().bytes_live;
    CHECK(live < before.bytes_live);
    CHECK(live > 0);  // one check does a bounded amount of work
    int looks = 0;
    while (look_after(4h, registry::which::heartbeat_safe)) {
        CHECK(books.counted().bytes_live <= live);
        live = books.counted().bytes_live;
        ++looks;
    }
    CHECK(looks > 2);
    CHECK(live == 0);
    CHECK(books.counted().purges == before.purges + 1);
    CHECK(pool.stats().ticks == 2);
}

TEST_CASE("a ticker without an interval ages each pool by that pool's own interval") {
    look_until_done(0s, registry::which::all);
    tidepool::pool_resource pool(every(1h)), never(every(0ms));
    stock(pool, 100, 64);
    stock(never, 100, 64);
    tidepool::ticker tide;
    const auto now = std::chrono::steady_clock::now();
    const auto run_at = [&](std::chrono::steady_clock::duration later) {
        bool any = false;
        while (tide.tick_if_due(now + later)) any = true;
        return any;
    };
    CHECK_FALSE(run_at(1min));
    CHECK(run_at(2h));
    CHECK_FALSE(run_at(2h));
    CHECK(pool.stats().ticks == 1);
    CHECK(run_at(4h));
    CHECK(pool.stats().ticks == 2);
    CHECK(pool.stats().bytes_cached == 0);
    CHECK(never.stats().ticks == 0);
}

TEST_CASE("a ticker with an interval ages every pool, even with decay_interval 0") {
    tidepool::pool_resource pool(every(0ms));
    stock(pool, 100, 64);
    const std::chrono::steady_clock::time_point now{};
    tidepool::ticker tide(16ms, now);
    CHECK_FALSE(tide.tick_if_due(now));
    CHECK_FALSE(tide.tick_if_due(now + 15ms));
    CHECK(tide.tick_if_due(now + 16ms));
    CHECK_FALSE(tide.tick_if_due(now + 17ms));
    CHECK(tide.tick_if_due(now + 10min));  // missed ticks are not made up for
    CHECK_FALSE(tide.tick_if_due(now + 10min));
    CHECK(pool.stats().ticks == 2);
    CHECK(pool.stats().bytes_cached == 0);
}

TEST_CASE("a background_ticker makes pools decay while all other threads sleep") {
    if (!support::others_in_reach()) return;
    tidepool::counting_upstream books(tidepool::pages_upstream());
    tidepool::pool_resource pool(every(5ms), books);
    stock(pool, 3000, 500);
    REQUIRE(books.counted().bytes_live > 0);
    {
        const tidepool::background_ticker tide(2ms);
        until([&] { return books.counted().bytes_live == 0; }, [] { std::this_thread::sleep_for(5ms); });
    }
    // The thread ends with its object.
    const std::uint64_t ticks = pool.stats().ticks;
    std::this_thread::sleep_for(30ms);
    CHECK(pool.stats().ticks == ticks);
    for (int i = 0; i < 20; ++i)
        static_cast<void>(tidepool::background_ticker(1h));  // ends without waiting for its period
}

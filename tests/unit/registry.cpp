// src: clock/registry.hpp
#include "clock/registry.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "base/forks.hpp"
#include "base/thread_slots.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"

#include <tidepool/detail/engine.hpp>
#include <tidepool/options.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<registrant> {
    static void unlink(registrant& r) { r.links_.previous = nullptr; }
    static void rejuvenate(registrant& r) { r.id_ = 1; }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

namespace detail = tidepool::detail;
namespace registry = tidepool::detail::registry;

using namespace std::chrono_literals;

namespace {

// The times here lie before the start of the process, so its own pools, if any, are not due and stay undisturbed.
using nanos = std::chrono::nanoseconds;

struct guest final : detail::registrant {
    std::atomic<std::size_t> ticks{0}, asked{0}, exits{0};
    std::atomic<nanos::rep> due_at{nanos::max().count()};
    std::function<void()> on_tick;
    bool is_leaf = false;

    void tick_now() noexcept override {
        ++ticks;
        if (on_tick) on_tick();
    }
    bool tick_if_due(nanos now) noexcept override {
        ++asked;
        if (now < due()) return false;
        due_at = nanos::max().count();
        tick_now();
        return true;
    }
    nanos due() const noexcept override { return nanos(due_at.load()); }
    bool heartbeat_safe() const noexcept override { return is_leaf; }
    void reclaim(const void*, detail::reclaim_depth) noexcept override {}
    void thread_exits(detail::thread_slot&) noexcept override { ++exits; }
};

// In the registry for its lifetime.
struct member {
    guest who;
    std::uint32_t index;
    explicit member(nanos due = nanos::max(), bool heartbeat_safe = false) {
        who.is_leaf = heartbeat_safe;
        who.due_at = due.count();
        index = registry::join(who);
    }
    ~member() { registry::leave(who, index); }
};

}  // namespace

TEST_CASE("indices are distinct, never reserved ones, and free again after leave()") {
    std::set<std::uint32_t> first;
    {
        std::vector<std::unique_ptr<member>> all;
        for (int i = 0; i < 20; ++i) {
            all.push_back(std::make_unique<member>());
            CHECK(all.back()->index != detail::no_index);
            CHECK(all.back()->index != detail::default_index);
            CHECK(all.back()->index < detail::direct_pools);
            CHECK(first.insert(all.back()->index).second);
        }
    }
    std::set<std::uint32_t> again;
    std::vector<std::unique_ptr<member>> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(std::make_unique<member>());
        again.insert(all.back()->index);
    }
    CHECK(again == first);
}

TEST_CASE("a pool beyond direct_pools gets no_index and still ticks") {
    std::vector<std::unique_ptr<member>> all;
    for (std::uint32_t i = 0; i < 2 * detail::direct_pools; ++i) all.push_back(std::make_unique<member>());
    CHECK(all.back()->index == detail::no_index);
    registry::tick_all();
    for (const auto& each : all) CHECK(each->who.ticks == 1);
    // The next pool gets a freed index.
    const std::uint32_t freed = all.front()->index;
    all.front().reset();
    CHECK(member().index == freed);
}

TEST_CASE("tick_all() ticks each pool once") {
    std::vector<std::unique_ptr<member>> all;
    for (int i = 0; i < 10; ++i) all.push_back(std::make_unique<member>());
    for (std::size_t n = 1; n <= 5; ++n) {
        registry::tick_all();
        for (const auto& each : all) CHECK(each->who.ticks == n);
    }
}

TEST_CASE("pools may join and leave during a tick; none is skipped or ticked twice") {
    std::unique_ptr<member> late, gone = std::make_unique<member>();
    member a, b;
    a.who.on_tick = [&] {
        gone.reset();
        if (!late) late = std::make_unique<member>();
    };
    registry::tick_all();
    CHECK(a.who.ticks == 1);
    CHECK(b.who.ticks == 1);
    CHECK(!gone);
    // Pools that joined during the round are ticked by this round at most, and by the next in any case.
    CHECK(late->who.ticks <= 1);
    const std::size_t before = late->who.ticks;
    registry::tick_all();
    CHECK(late->who.ticks == before + 1);
    CHECK(b.who.ticks == 2);
}

TEST_CASE("only due pools are ticked, and none is asked before the first is due") {
    member early(1ns), later(100ns), never;
    registry::tick_due(1ns);
    CHECK(early.who.ticks == 1);
    CHECK(later.who.ticks == 0);
    CHECK(never.who.ticks == 0);
    const std::size_t asked = later.who.asked;
    registry::tick_due(99ns);
    CHECK(later.who.asked == asked);  // one comparison, no pool is asked
    registry::tick_due(100ns);
    CHECK(later.who.ticks == 1);
    CHECK(never.who.ticks == 0);
    member newcomer(101ns);  // a pool that joins is ticked in time, too
    registry::tick_due(101ns);
    CHECK(newcomer.who.ticks == 1);
}

TEST_CASE("a heartbeat_safe check ticks such pools only; the others stay due") {
    member heartbeat_safe(1ns, true), other(1ns);
    CHECK(registry::tick_due(5ns, registry::which::heartbeat_safe));
    CHECK(heartbeat_safe.who.ticks == 1);
    CHECK(other.who.ticks == 0);
    CHECK_FALSE(registry::tick_due(5ns, registry::which::heartbeat_safe));
    CHECK(registry::tick_due(5ns));
    CHECK(heartbeat_safe.who.ticks == 1);
    CHECK(other.who.ticks == 1);
    CHECK_FALSE(registry::tick_due(5ns));
    member late(6ns, true);  // a pool that joins is ticked in time
    CHECK(registry::tick_due(7ns, registry::which::heartbeat_safe));
    CHECK(late.who.ticks == 1);
}

TEST_CASE("a tick requested during a tick is deferred, not lost") {
    member first(1ns), second(1ns);
    first.who.on_tick = [] {
        CHECK_FALSE(registry::tick_due(5ns));
        CHECK_FALSE(registry::tick_due(5ns, registry::which::heartbeat_safe));
    };
    CHECK(registry::tick_due(5ns));
    CHECK(registry::tick_due(5ns));
    CHECK(first.who.ticks == 1);
    CHECK(second.who.ticks == 1);
    member third(6ns);
    CHECK(registry::tick_due(6ns));
    CHECK(third.who.ticks == 1);
}

TEST_CASE("one check ticks one due pool, in turn, even if one of them stays due") {
    member endless(1ns), second(1ns), third(1ns);
    endless.who.on_tick = [&] { endless.who.due_at = 1; };
    CHECK(registry::tick_due(5ns));
    CHECK(endless.who.ticks == 1);
    CHECK(second.who.ticks == 0);
    CHECK(registry::tick_unfinished());
    CHECK(registry::tick_due(5ns));
    CHECK(second.who.ticks == 1);
    CHECK(registry::tick_due(5ns));
    CHECK(third.who.ticks == 1);
    CHECK(endless.who.ticks == 1);
    CHECK(registry::tick_due(5ns));
    CHECK(endless.who.ticks == 2);
    CHECK_FALSE(registry::tick_unfinished());
    endless.who.on_tick = {};
    CHECK(registry::tick_due(5ns));
    CHECK_FALSE(registry::tick_due(5ns));
}

TEST_CASE("a check after a long pause ticks all due pools at once") {
    member first(1ns), second(1ns), third(1ns);
    CHECK(registry::tick_due(5ns));
    CHECK(second.who.ticks == 0);
    CHECK(registry::tick_due(5ns + 500ms));
    CHECK(second.who.ticks == 1);
    CHECK(third.who.ticks == 1);
    CHECK_FALSE(registry::tick_unfinished());
}

TEST_CASE("leave() waits for a visit in progress") {
    std::atomic<bool> inside{false}, go_on{false}, left{false};
    auto guest_of_honour = std::make_unique<member>();
    guest_of_honour->who.on_tick = [&] {
        inside = true;
        while (!go_on) std::this_thread::yield();
    };
    std::thread ticker([] { registry::tick_all(); });
    while (!inside) std::this_thread::yield();
    std::thread leaver([&] {
        guest_of_honour.reset();
        left = true;
    });
    std::this_thread::sleep_for(20ms);
    CHECK_FALSE(left);
    go_on = true;
    ticker.join();
    leaver.join();
    CHECK(left);
}

TEST_CASE("no_visits waits for a visit in progress, and keeps others off") {
    member passed_over, other;
    std::atomic<bool> inside{false}, go_on{false}, alone{false};
    passed_over.who.on_tick = [&] {
        inside = true;
        while (!go_on) std::this_thread::yield();
    };
    std::thread ticker([] { registry::tick_all(); });
    while (!inside) std::this_thread::yield();
    std::thread releaser([&] {
        const registry::no_visits here(passed_over.who);
        alone = true;
        registry::tick_all();
        passed_over.who.due_at = 0;
        CHECK(passed_over.who.ticks == 1);
    });
    std::this_thread::sleep_for(20ms);
    CHECK_FALSE(alone);
    go_on = true;
    ticker.join();
    releaser.join();
    CHECK(other.who.ticks == 2);
    CHECK(registry::tick_due(1ns));
    CHECK(passed_over.who.ticks == 2);
}

TEST_CASE("every pool is told of a thread that exits with a slot") {
    member a, b;
    std::thread([] { static_cast<void>(detail::thread_slots::mine()); }).join();
    CHECK(a.who.exits == 1);
    CHECK(b.who.exits == 1);
    std::thread([] {}).join();  // had no slot
    CHECK(a.who.exits == 1);
}

TEST_CASE("pools join and leave while others tick and threads exit") {
    constexpr std::size_t rounds = support::scaled(3000);
    member steady;
    std::atomic<std::size_t> ticks{0};
    support::on_threads(4, [&](std::size_t me) {
        for (std::size_t i = 0; i < rounds; ++i) switch (me) {
                case 0:
                    registry::tick_all();
                    ++ticks;
                    break;
                case 1:
                    registry::tick_due(nanos(static_cast<nanos::rep>(i)));
                    break;
                case 2: {
                    member one(nanos(static_cast<nanos::rep>(i))), two;
                    break;
                }
                default:
                    if (i % 10 == 0) std::thread([] { static_cast<void>(detail::thread_slots::mine()); }).join();
            }
    });
    CHECK(steady.who.ticks == ticks);
}

TEST_CASE("a child that is forked in a visit knows it, also where the count of forks wraps") {
    tidepool::pool_options options;
    static_cast<void>(detail::make_pool(options, tidepool::libc_upstream()));  // forks are heard of from here on
    const support::death end = support::died([] {
        detail::forks_behind = ~std::uint32_t{0};
        pid_t inner = -1;
        {
            member one;
            one.who.on_tick = [&] { inner = fork(); };
            registry::tick_all();
            if (inner > 0) {
                int status = -1;
                if (waitpid(inner, &status, 0) != inner || status != 0) std::abort();
            }
        }  // which waits for visits that are counted
        if (inner == 0) _exit(detail::fork_count() == 0 ? 0 : 1);
    });
    CAPTURE(end.text);
    CAPTURE(end.signal);
    CHECK(end.exit_status == 0);
}

TEST_CASE("check() finds a list of pools that is not in the order of joining") {
    member a, b, c;
    registry::check();
    using peer = detail::test_peer<detail::registrant>;
    CHECK(support::died([&] { peer::unlink(b.who), registry::check(); }).said("the list of pools is broken"));
    CHECK(support::died([&] { peer::rejuvenate(b.who), registry::check(); }).said("is listed behind"));
}

TEST_CASE("tick_due() runs the check() of the registry in builds that check") {
    member a(1ns), b(1ns);
    const auto end = support::died([&] {
        detail::test_peer<detail::registrant>::rejuvenate(b.who);
        registry::tick_due(2ns);
    });
    CHECK(end.said("is listed behind") == detail::checked);
}

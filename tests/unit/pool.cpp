// src: pool/pool.hpp. What the faces do not show: owners that are inside while others visit, and upstreams that call
// back.
#include "pool/pool.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/asymmetric_fence.hpp"
#include "base/clock.hpp"
#include "base/lock_order.hpp"
#include "base/pinned.hpp"
#include "base/thread_slots.hpp"
#include "calm.hpp"
#include "counting_upstream.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"
#include "worker.hpp"

#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace detail = tidepool::detail;

using namespace std::chrono_literals;

namespace {

tidepool::pool_options ticks_by_hand(tidepool::block_source source = tidepool::block_source::direct) {
    tidepool::pool_options options;
    options.decay_interval = 0ms;
    options.source = source;
    return options;
}

tidepool::pool_options ticks_every(std::chrono::milliseconds interval) {
    tidepool::pool_options options = ticks_by_hand();
    options.decay_interval = interval;
    return options;
}

constexpr std::uint32_t some_class = 3, another_class = 10;

// A pool of the engine as the faces see it.
struct kit {
    explicit kit(const tidepool::pool_options& with = ticks_by_hand()) : options(with) {}

    support::counting_upstream books;
    tidepool::pool_options options;
    detail::pool_ptr pool = detail::make_pool(options, books);
    const std::uint32_t index = detail::pool_index(*pool);

    // Takes a block and gives it back.
    void once() const { detail::deallocate(*pool, index, detail::allocate(*pool, index, some_class), some_class); }

    void* take(std::uint32_t size_class) { return detail::allocate(*pool, index, size_class); }
    void give(std::uint32_t size_class, void* block) { detail::deallocate(*pool, index, block, size_class); }
    void leave_stock(std::uint32_t size_class, std::size_t count) {
        std::vector<void*> taken(count);
        for (void*& each : taken) each = take(size_class);
        for (void* each : taken) give(size_class, each);
    }
};

// The calling thread is inside its local, as if it had been interrupted there.
class inside {
public:
    explicit inside(const kit& k)
        : entrance_(detail::this_thread->pin_slots[k.index]), mine_(entrance_.enter(*detail::this_thread)) {}
    ~inside() { entrance_.leave(mine_); }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;

private:
    detail::pin_slot& entrance_;
    detail::local_head& mine_;
};

}  // namespace

TEST_CASE("a tick skips an owner that is inside, and its stock still decays in time") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k;
    support::worker ticker;
    const auto tick = [&] { ticker.run([&] { detail::tick(*k.pool); }); };
    k.leave_stock(some_class, 1000);
    const std::uint64_t held = k.books.counted().bytes_live();
    {
        const inside here(k);
        tick();
        CHECK(k.books.counted().bytes_live() == held);
        tick();
        CHECK(k.books.counted().bytes_live() < held);  // anybody may take from the chain
        CHECK(k.books.counted().bytes_live() > 0);     // no visitor may enter for the private magazines
    }
    // The stock was unused for two whole ticks, and this tick does not skip the owner.
    tick();
    CHECK(k.books.counted().bytes_live() == 0);
}

TEST_CASE("an owner that a tick skipped does the tick's work on its next slow path") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k;
    support::worker ticker;
    const auto tick = [&] { ticker.run([&] { detail::tick(*k.pool); }); };
    k.leave_stock(some_class, 1000);
    const std::uint64_t held = k.books.counted().bytes_live();
    {
        const inside here(k);
        tick();
    }
    void* block = k.take(another_class);  // the first block of this class, hence a slow path
    k.give(another_class, block);
    CHECK(k.books.counted().bytes_live() >= held);  // one generation older, but not returned
    tick();
    CHECK(k.books.counted().bytes_live() < held);  // the second tick returned it
}

TEST_CASE("tick() waits for an owner that is not running") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k;
    support::worker ticker;
    k.leave_stock(some_class, 10);  // private magazines only
    ticker.run([&] { detail::tick(*k.pool); });
    CHECK(k.books.counted().bytes_live() > 0);
    {
        const inside here(k);
        ticker.start([&] { detail::tick(*k.pool); });
        std::this_thread::sleep_for(20ms);
    }
    ticker.wait();  // the owner does nothing any more that could rotate its local
    CHECK(k.books.counted().bytes_live() == 0);
}

TEST_CASE("an owner that a due tick skipped is visited again before the next tick") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k(ticks_every(16h));
    support::worker ticker;
    auto now = detail::coarse_now();
    const auto look_after = [&](std::chrono::nanoseconds time) {
        now += time;
        bool worked = false;
        ticker.run([&] {
            while (k.pool->tick_if_due(now)) worked = true;
        });
        return worked;
    };
    k.leave_stock(some_class, 10);
    CHECK(look_after(17h));
    {
        const inside here(k);
        CHECK(look_after(17h));
        CHECK(look_after(2h));     // visited again in vain
        CHECK(!look_after(1min));  // not too often
        CHECK(k.books.counted().bytes_live() > 0);
    }
    CHECK(k.pool->due() <= now + 1h);
    CHECK(look_after(2h));
    CHECK(k.books.counted().bytes_live() == 0);
    CHECK(!look_after(2h));
    CHECK(detail::snapshot(*k.pool).ticks == 2);
}

TEST_CASE("a forked child skips an owner that the fork has lost, and its chain decays") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k(ticks_every(16h));
    support::worker owner;
    std::atomic<bool> forked{false};
    std::atomic<std::uint64_t> held{0};
    owner.start([&] {
        k.leave_stock(some_class, 1000);
        const inside here(k);
        held = k.books.counted().bytes_live();
        held.notify_all();
        forked.wait(false);
    });
    held.wait(0);
    const support::death child = support::died([&] {
        auto now = detail::coarse_now();
        for (int ticks = 0; ticks < 2; ++ticks)
            for (now += 17h; k.pool->tick_if_due(now);) {
            }
        if (k.pool->due() < now + 16h) std::_Exit(2);               // somebody is to be visited again
        if (k.books.counted().bytes_live() >= held) std::_Exit(3);  // the chain's magazines are still there
    });
    CHECK(child.exit_status == 0);
    forked = true;
    forked.notify_all();
    owner.wait();
}

// Its slot leads to the closed local then, as if it were inside. The child abandoned the local, and all its private
// magazines were lost.
TEST_CASE("a forked child takes over from an owner that was kept out and just looks in") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k;
    support::worker owner;
    owner.run([&] { k.leave_stock(some_class, 10); });  // private magazines only
    CHECK(k.books.counted().bytes_live() > 0);
    detail::lock_order::begin_fork_series();
    k.pool->before_fork();
    std::optional<inside> here;
    owner.run([&] { here.emplace(k); });
    k.pool->after_fork_in_child();  // as if this were the child, and the owner not in it
    for (int ticks = 0; ticks < 2; ++ticks) detail::tick(*k.pool);
    CHECK(k.books.counted().bytes_live() == 0);
    owner.run([&] { k.leave_stock(some_class, 10); });  // as if it were the next thread that has the slot
    CHECK(detail::snapshot(*k.pool).bypasses == 0);
    owner.run([&] { here.reset(); });
}

// Otherwise a program that forks often stands still: a thread that has left a hit by siglongjmp() never comes out.
TEST_CASE("only the first of many forks waits long for an owner that stays inside") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k;
    support::worker owner;
    std::optional<inside> here;
    owner.run([&] {
        k.leave_stock(some_class, 10);
        here.emplace(k);
    });
    const auto naps_in = [&](int forks) {
        rusage before{}, after{};
        getrusage(RUSAGE_THREAD, &before);
        for (int i = 0; i < forks; ++i) {
            detail::lock_order::begin_fork_series();
            k.pool->before_fork();
            k.pool->after_fork_in_parent();
        }
        getrusage(RUSAGE_THREAD, &after);
        return after.ru_nvcsw - before.ru_nvcsw;  // a nap each
    };
    const long first = naps_in(1), others = naps_in(20);
    CHECK(first > 1000);
    CHECK(others < first);
    owner.run([&] { here.reset(); });
    naps_in(1);
    owner.run([&] { here.emplace(k); });
    CHECK(naps_in(1) > 1000);  // it has been outside: worth waiting for again
    owner.run([&] { here.reset(); });
}

TEST_CASE("a signal handler that interrupts a pinned owner bypasses the local") {
    support::calm no_dice;
    kit k;
    k.leave_stock(some_class, 100);
    const std::uint64_t bypassed = detail::snapshot(*k.pool).bypasses;
    {
        const inside here(k);
        void* block = k.take(some_class);
        CHECK(block != nullptr);
        k.give(some_class, block);
    }
    CHECK(detail::snapshot(*k.pool).bypasses == bypassed + 2);
    CHECK(detail::snapshot(*k.pool).blocks_in_use == 0);
    k.leave_stock(some_class, 100);
    CHECK(detail::snapshot(*k.pool).bypasses == bypassed + 2);
}

TEST_CASE("the equations of a pool hold whenever no thread is inside") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        support::counting_upstream books;
        tidepool::pool_options options = ticks_by_hand(source);
        const detail::pool_ptr pool = detail::make_pool(options, books);
        const std::uint32_t index = detail::pool_index(*pool);
        const auto check = [&] { pool->check(detail::pool::others::still); };
        check();
        std::vector<void*> kept(100);
        for (void*& each : kept) each = detail::allocate(*pool, index, some_class);
        check();
        for (int round = 0; round < 4; ++round) {
            support::on_threads(3, [&](std::size_t) {
                std::vector<void*> taken(support::scaled(3000));
                for (void*& each : taken) each = detail::allocate(*pool, index, another_class);
                for (void* each : taken) detail::deallocate(*pool, index, each, another_class);
            });
            check();
            detail::tick(*pool);
            check();
        }
        for (void* each : kept) detail::deallocate(*pool, index, each, some_class);
        check();
        static_cast<void>(detail::trim(*pool, 0));
        check();
        detail::release(*pool);
        check();
    }
}

TEST_CASE("check() finds blocks in magazines that the source never gave") {
    support::calm no_dice;
    kit k;
    k.leave_stock(some_class, 10);
    const support::death end = support::died([&] {
        detail::note_destroyed(*k.pool, nullptr);  // counts a block of the first class as returned
        void* block = k.take(0);
        k.give(0, block);
        while (detail::snapshot(*k.pool).blocks_cached > 0) {
            detail::note_destroyed(*k.pool, nullptr);
            k.pool->check(detail::pool::others::still);
        }
    });
    CHECK(end.violent());
    if constexpr (!detail::hardened) CHECK(end.said("blocks are out"));
}

#if defined(TIDEPOOL_HARDENED) || defined(TIDEPOOL_CHAOS)
TEST_CASE("a call to the source by a thread that holds a pin fails an assertion") {
    kit k;
    const support::death end = support::died([&] {
        detail::pinned::enter();
        k.leave_stock(some_class, 1);
    });
    CHECK(end.violent());
    CHECK(end.said("pinned"));
}
#endif

TEST_CASE("trim and snapshot skip owners that are inside and reach the others") {
    support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    kit k;
    support::worker other;
    k.leave_stock(some_class, 10);
    other.run([&] { k.leave_stock(some_class, 500); });
    {
        const inside here(k);
        other.run([&] { static_cast<void>(detail::trim(*k.pool, 0)); });
        CHECK(k.books.counted().bytes_live() > 0);
        CHECK(k.books.counted().bytes_live() <= 64 * detail::size_class_bytes(some_class));
        other.run([&] { k.leave_stock(some_class, 10); });
    }
    detail::trim(*k.pool, 0);
    CHECK(k.books.counted().bytes_live() == 0);
}

namespace {

// An upstream that uses and visits the pool that it serves, which works because the pool calls it without a lock and
// without a pin.
class nosy {
public:
    explicit nosy(support::counting_upstream& below) noexcept : below_(below) {}
    void serve(detail::pool* above) noexcept { above_ = above; }

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        pry();
        return below_.allocate(bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        below_.deallocate(p, bytes, alignment);
        pry();
    }

private:
    void pry() noexcept {
        thread_local bool prying = false;
        if (prying || !above_) return;
        prying = true;
        const std::uint32_t index = detail::pool_index(*above_);
        void* block = detail::allocate(*above_, index, some_class);
        detail::tick(*above_);
        static_cast<void>(detail::snapshot(*above_));
        static_cast<void>(detail::trim(*above_, 10'000));
        if (block) detail::deallocate(*above_, index, block, some_class);
        prying = false;
    }

    support::counting_upstream& below_;
    detail::pool* above_ = nullptr;
};

}  // namespace

TEST_CASE("a local that a signal handler made under its thread is found afterwards") {
    const support::calm quiet;
    kit k;
    std::thread([&] {
        kit other;  // the thread has its slot
        detail::deallocate(*other.pool, other.index, detail::allocate(*other.pool, other.index, some_class),
                           some_class);
        detail::thread_slot& me = *detail::this_thread;
        detail::local_head& found = me.pin_slots[k.index].enter(me);
        k.once();  // the handler
        me.pin_slots[k.index].leave(found);
        for (int i = 0; i < 100; ++i) k.once();
    }).join();
    CHECK(detail::snapshot(*k.pool).bypasses == 0);
}

TEST_CASE("a thread that exits while it is inside leaves its slot clean") {
    const support::calm quiet;
    kit k;
    std::thread([&] {
        k.once();
        detail::thread_slot& me = *detail::this_thread;
        static_cast<void>(me.pin_slots[k.index].enter(me));
    }).join();
    std::thread([&] {  // has the same slot
        for (int i = 0; i < 100; ++i) k.once();
    })
        .join();
    CHECK(detail::snapshot(*k.pool).bypasses == 0);
    CHECK(detail::snapshot(*k.pool).locals == 2);
}

TEST_CASE("an upstream may use the pool it serves") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        support::counting_upstream books;
        nosy below(books);
        {
            tidepool::pool_options options = ticks_by_hand(source);
            options.local_bytes_max = 10'000;
            options.depot_bytes_max = 0;
            const detail::pool_ptr pool = detail::make_pool(options, below);
            below.serve(pool.get());
            const std::uint32_t index = detail::pool_index(*pool);
            support::on_threads(3, [&](std::size_t) {
                std::vector<std::array<void*, 2>> taken;
                for (std::size_t i = 0; i < support::scaled(1500); ++i)
                    taken.push_back({detail::allocate(*pool, index, some_class), detail::allocate(*pool, index, 50)});
                for (const auto& [one, two] : taken) {
                    detail::deallocate(*pool, index, one, some_class);
                    detail::deallocate(*pool, index, two, 50);
                }
            });
            CHECK(detail::snapshot(*pool).blocks_in_use == 0);
            below.serve(nullptr);
        }
        CHECK(books.balanced());
    }
}

namespace {

// An upstream whose deallocate() takes its time, for the one thread that asked for it.
class slow {
public:
    explicit slow(support::counting_upstream& below) noexcept : below_(below) {}

    // The calling thread's next deallocate() stays inside until let_go().
    void hold_me() noexcept { held_ = true; }
    void wait_until_inside() noexcept { inside_.wait(false); }
    void let_go() noexcept {
        gone_ = true;
        gone_.notify_all();
    }

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept { return below_.allocate(bytes, alignment); }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        if (std::exchange(held_, false)) {
            inside_ = true;
            inside_.notify_all();
            gone_.wait(false);
        }
        below_.deallocate(p, bytes, alignment);
    }

private:
    support::counting_upstream& below_;
    inline static thread_local bool held_ = false;
    std::atomic<bool> inside_{false}, gone_{false};
};

}  // namespace

TEST_CASE("a tick and a trim return after what other threads were handing down") {
    const support::calm no_dice;
    if (!detail::asymmetric_fence::available()) return;
    for (const bool by_tick : {true, false}) {
        CAPTURE(by_tick);
        support::counting_upstream books;
        slow below(books);
        tidepool::pool_options options = ticks_by_hand();
        const detail::pool_ptr pool = detail::make_pool(options, below);
        const std::uint32_t index = detail::pool_index(*pool);
        support::worker other, clock;
        std::vector<void*> taken(1000);
        for (void*& each : taken) each = detail::allocate(*pool, index, some_class);
        for (void* each : taken) detail::deallocate(*pool, index, each, some_class);
        // The other thread trims, and the system takes the processor from it in the midst of that.
        other.start([&] {
            below.hold_me();
            detail::trim(*pool, 0);
        });
        below.wait_until_inside();
        CHECK(books.counted().bytes_live() > 0);
        clock.start([&] {
            std::this_thread::sleep_for(20ms);
            below.let_go();
        });
        if (by_tick)
            detail::tick(*pool);
        else
            detail::trim(*pool, 0);
        CHECK(books.counted().bytes_live() == 0);
        clock.wait();
        other.wait();
    }
}

TEST_CASE("a pool beyond direct_pools works like any other") {
    if (!detail::asymmetric_fence::available()) return;
    std::vector<detail::pool_ptr> before;
    std::array<tidepool::pool_options, 2> options{ticks_by_hand(), ticks_by_hand()};
    support::counting_upstream books;
    do before.push_back(detail::make_pool(options[0], books));
    while (detail::pool_index(*before.back()) != detail::no_index);
    {
        kit k;
        REQUIRE(k.index == detail::no_index);
        support::worker sleeper;
        k.leave_stock(some_class, 1000);
        sleeper.run([&] { k.leave_stock(some_class, 1000); });
        CHECK(detail::snapshot(*k.pool).blocks_in_use == 0);
        CHECK(detail::snapshot(*k.pool).locals == 2);
        detail::tick(*k.pool);
        detail::tick(*k.pool);
        CHECK(k.books.counted().bytes_live() == 0);
        sleeper.run([&] { k.leave_stock(some_class, 1000); });
    }
}

// src: cache/bin, cache/pin.hpp, cache/local.hpp: a local's two generations, its private magazines, and its counts.
#include "cache/bin.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "cache/depot.hpp"
#include "cache/local.hpp"
#include "cache/pin.hpp"
#include "calm.hpp"
#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"

#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/upstream.hpp>

namespace detail = tidepool::detail;

// Besides this, only the roster makes pins.
namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<pin> {
    static pin of(local& its) noexcept { return pin(its, pin::who::visitor); }
};

template <>
struct test_peer<local> {
    static void forget_private_bytes(local& its) noexcept { its.private_bytes_ = 0; }
    static void claim_unused(local& its) noexcept { its.classes_ = 0; }
    static void nearly_wrap(local& its, std::uint32_t before) noexcept {
        its.exchanges_ = its.shed_next_ = 0U - before;
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

namespace {

using detail::generation;
using detail::magazine;

constexpr std::uint32_t capacity = 16, classes = 3, size_class = 1;
const std::size_t block_bytes = detail::size_class_bytes(size_class);

// A local of three size classes, of which the tests use the middle one.
struct kit {
    detail::depots shared;
    detail::local* local = nullptr;
    std::vector<magazine*> gone;

    explicit kit(std::size_t local_bytes_max = std::size_t{1} << 30,
                 std::size_t private_bytes_max = std::size_t{1} << 30)
        : shared({.count = classes},
                 {.blocks_per_magazine_max = capacity,
                  .magazine_bytes_max = std::size_t{1} << 20,
                  .local_bytes_max = local_bytes_max,
                  .private_bytes_max = private_bytes_max},
                 std::chrono::milliseconds(100)) {
        REQUIRE(shared.set_up(false));
        auto* head = shared.records.make<detail::local_head>((classes + 1) * sizeof(detail::hot_bin));
        std::uninitialized_default_construct_n(head->own(), classes + 1);
        local = shared.records.make<detail::local>(detail::local::bytes_behind(shared), shared, head, nullptr, 5U,
                                                   std::uint64_t{0});
        head->body = local;
        head->reopen();
    }

    detail::pin pin() { return detail::test_peer<detail::pin>::of(*local); }
    magazine* with(std::uint32_t blocks, std::uint32_t of_class = size_class) {
        magazine* m = shared.take_empty(of_class);
        for (std::uint32_t i = 0; i < blocks; ++i) m->push(&gone);
        return m;
    }
    // Pushes a magazine to the young chain: makes it the loaded one and then empties the private magazines.
    void chain(magazine* m) {
        detail::pin p = pin();
        detail::bin own = p.of(size_class);
        own.load(m);
        own.empty_to_chain();
    }
    // A tick. `gone` has what was sent to outgoing.
    void rotate() {
        {
            detail::pin p = pin();
            p.of(size_class).rotate();
            p.check(true);
        }
        gone.clear();
        shared.leaving.receive(detail::outgoing::everything, [&](magazine* m) { gone.push_back(m); });
    }
    std::uint64_t blocks_chained() { return local->blocks_chained(size_class); }
    bool has(generation g) { return local->has(size_class, g); }
    std::uint64_t private_blocks() { return pin().of(size_class).private_blocks(); }
};

}  // namespace

TEST_CASE("young stock becomes the victim at the first tick and is sent at the second") {
    kit k;
    magazine* m = k.with(10);
    k.chain(m);
    CHECK(k.blocks_chained() == 10);
    CHECK(k.local->bytes_chained() == 10 * block_bytes);
    k.rotate();
    CHECK(k.gone.empty());
    CHECK_FALSE(k.has(generation::young));
    CHECK(k.has(generation::old));
    CHECK(k.blocks_chained() == 10);
    k.rotate();
    CHECK(k.gone == std::vector{m});
    CHECK_FALSE(k.has(generation::old));
    CHECK(k.blocks_chained() == 0);
    CHECK(k.local->bytes_chained() == 0);
    k.rotate();
    CHECK(k.gone.empty());
}

TEST_CASE("private magazines age with the chain, and empty ones return to the stock") {
    kit k;
    magazine* loaded = k.with(10);
    magazine* spare = k.with(16);
    {
        detail::pin p = k.pin();
        detail::bin own = p.of(size_class);
        own.load(spare);
        own.load(loaded);
        CHECK(own.private_blocks() == 26);
        CHECK(own.look_is_due());
        own.look(std::chrono::milliseconds(0));
        CHECK_FALSE(own.look_is_due());
        for (int i = 0; i < 7; ++i) CHECK(own.take_private());
        CHECK(own.uncounted_hits() == 7);
        CHECK(own.private_blocks() == 19);
    }
    k.rotate();
    CHECK(k.private_blocks() == 0);
    CHECK(k.blocks_chained() == 19);
    CHECK(k.local->counted(size_class).hits_private.get() == 7);
    CHECK(k.gone.empty());

    magazine* empty = k.with(1);
    {
        detail::pin p = k.pin();
        p.of(size_class).load(empty);
        CHECK(p.of(size_class).take_private());
    }
    k.rotate();
    CHECK(k.shared.take_empty(size_class) == empty);
    CHECK(std::set(k.gone.begin(), k.gone.end()) == std::set{loaded, spare});
    CHECK(k.blocks_chained() == 0);
}

TEST_CASE("a magazine pushed after a tick is one generation younger") {
    kit k;
    magazine *old = k.with(1), *fresh = k.with(2);
    k.chain(old);
    k.rotate();
    k.chain(fresh);
    k.rotate();
    CHECK(k.gone == std::vector{old});
    k.rotate();
    CHECK(k.gone == std::vector{fresh});
}

TEST_CASE("a magazine that does not fit the chain is sent at once, not lost") {
    kit k(0);  // a chain's largest ring has eight slots
    std::size_t held = 0;
    while (k.shared.leaving.blocks() == 0) {
        k.chain(k.with(1));
        ++held;
    }
    --held;
    k.shared.leaving.receive(detail::outgoing::everything, [&](magazine* m) { CHECK(m->count() == 1); });
    CHECK(k.blocks_chained() == held);
    {
        detail::pin p = k.pin();
        p.of(size_class).load(k.with(5));
    }
    k.rotate();
    CHECK(k.gone.size() == 1);
    CHECK(k.gone[0]->count() == 5);
    CHECK(k.blocks_chained() == held);
    k.rotate();
    CHECK(k.gone.size() == held);
}

TEST_CASE("refills double up to a magazine and halve at each idle tick") {
    kit k;
    detail::pin p = k.pin();
    detail::bin own = p.of(size_class);
    CHECK(own.next_refill() == capacity);  // the first refill is sixteen blocks: a whole magazine here
    own.load(k.with(1));
    for (int i = 0; i < 10; ++i) own.rotate();
    CHECK(own.next_refill() == capacity);
}

TEST_CASE("rotate() of one class leaves the others untouched") {
    kit k;
    {
        detail::pin p = k.pin();
        p.of(0).load(k.with(1, 0));
    }
    k.chain(k.with(1));
    k.rotate();
    k.rotate();
    detail::pin p = k.pin();
    CHECK(p.of(0).private_blocks() == 1);
    CHECK(p.of(2).private_blocks() == 0);
}

TEST_CASE("a local that missed ticks makes up for at most two of them") {
    kit k;
    magazine* m = k.with(3);
    k.chain(m);
    {
        detail::pin p = k.pin();
        p.catch_up(1);
        CHECK(k.local->epoch() == 1);
        CHECK(k.has(generation::old));
        p.catch_up(1);
        CHECK(k.has(generation::old));
        p.catch_up(100);
    }
    CHECK(k.local->epoch() == 100);
    CHECK_FALSE(k.has(generation::old));
    CHECK(k.shared.leaving.blocks() == 3);
}

TEST_CASE("blocks pass through the loaded magazine, the spare and the chain") {
    kit k;
    detail::pin p = k.pin();
    detail::bin own = p.of(size_class);
    CHECK_FALSE(own.take_private());
    CHECK_FALSE(own.take_chain());
    std::vector<char> blocks(5 * capacity);
    for (char& each : blocks)
        if (!own.give_private(&each)) CHECK(own.give_chain(&each, 0));
    p.check(true);
    CHECK(own.private_blocks() + k.blocks_chained() == blocks.size());
    CHECK(k.blocks_chained() == 3 * capacity);
    std::set<void*> back;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        void* block = own.take_private();
        back.insert(block ? block : own.take_chain());
    }
    CHECK(back.size() == blocks.size());
    CHECK_FALSE(back.count(nullptr));
    CHECK(own.counted().hits_chain.get() == 3);
    p.check(true);
}

TEST_CASE("the depot lends room beyond a local's share until all is lent, and is repaid") {
    kit k(0);
    constexpr std::uint64_t step = detail::local::borrow_step;
    detail::pin p = k.pin();
    detail::bin own = p.of(size_class);
    std::vector<char> blocks(4 * step / block_bytes);
    std::size_t kept = 0;
    for (; kept < blocks.size(); ++kept)
        if (!own.give_private(&blocks[kept]) && !own.give_chain(&blocks[kept], 2 * step)) break;
    CHECK(k.local->bytes_chained() == 2 * step);
    CHECK(k.shared.lent() == 2 * step);
    CHECK_FALSE(own.give_chain(&blocks[kept], 0));
    while (own.take_private() || own.take_chain()) --kept;
    CHECK(kept == 0);
    CHECK(k.shared.lent() == step);  // what a swing needs
    p.catch_up(1);
    CHECK(k.shared.lent() == 0);
}

TEST_CASE("thieves take what the owner has not needed since the tick") {
    kit k;
    for (int i = 0; i < 5; ++i) k.chain(k.with(capacity));
    {
        detail::pin p = k.pin();
        detail::bin own = p.of(size_class);
        for (std::size_t i = 0; i < 3 * capacity; ++i)
            if (!own.take_private()) REQUIRE(own.take_chain());
        std::vector<char> blocks(5 * capacity);
        for (char& each : blocks)
            if (!own.give_private(&each)) REQUIRE(own.give_chain(&each, 0));
    }
    CHECK(k.blocks_chained() == 5 * capacity);
    for (int i = 0; i < 2; ++i) CHECK(k.local->steal(size_class, generation::young));
    CHECK_FALSE(k.local->steal(size_class, generation::young));
    CHECK(k.blocks_chained() == 3 * capacity);
    k.rotate();
    CHECK(k.local->steal(size_class, generation::old));
}

TEST_CASE("the empty magazines of the own chain are the next to be filled, and age") {
    kit k;
    detail::pin p = k.pin();
    detail::bin own = p.of(size_class);
    constexpr std::size_t magazines = 6;
    std::vector<char> blocks(magazines * capacity);
    const auto fill = [&] {
        for (char& each : blocks)
            if (!own.give_private(&each)) REQUIRE(own.give_chain(&each, 0));
    };
    const auto drain = [&] {
        while (own.take_private() || own.take_chain()) {
        }
    };
    fill();
    drain();
    CHECK_FALSE(k.shared[size_class].stock.take_all());
    fill();
    drain();
    p.check(true);
    own.rotate();
    std::size_t idle = 0;
    for (magazine* m = k.shared[size_class].stock.take_all(); m; m = m->next) ++idle;
    CHECK(idle == magazines);
}

TEST_CASE("freed magazines shorten the looks of all classes, once in a look's distance") {
    kit k;
    detail::pin p = k.pin();
    using ms = std::chrono::milliseconds;
    detail::bin other = p.of(0), own = p.of(size_class);
    const auto speed_up = [&](ms now) {
        other.look(now);
        for (int i = 0; i < 8; ++i) {
            for (int hit = 0; hit < 2000 && !other.look_is_due(); ++hit) {
                other.give_private(&k);
                other.take_private();
            }
            other.look(now);
        }
    };
    const auto hits_left = [&] {
        int hits = 0;
        for (; !other.look_is_due(); ++hits) {
            other.give_private(&k);
            other.take_private();
        }
        return hits;
    };
    other.load(k.with(1, 0));
    own.load(k.with(1));
    speed_up(ms(1000));
    own.shorten_looks(ms(1000));
    CHECK(hits_left() <= detail::look_pace::hits_first);
    speed_up(ms(1050));
    own.shorten_looks(ms(1050));  // too early
    CHECK(hits_left() > detail::look_pace::hits_first);
    speed_up(ms(1100));
    own.shorten_looks(ms(1100));
    CHECK(hits_left() <= detail::look_pace::hits_first);
}

TEST_CASE("a full local detaches a full magazine, and an empty one for a refill") {
    kit k(0);
    detail::pin p = k.pin();
    detail::bin own = p.of(size_class);
    CHECK(own.detach_full() == nullptr);
    own.load(k.with(capacity));
    own.load(k.with(capacity));
    char block = 0;
    CHECK_FALSE(own.give_private(&block));
    CHECK_FALSE(own.give_chain(&block, 0));  // the limit of the chains is zero
    magazine* full = own.detach_full();
    REQUIRE(full);
    CHECK(full->full());
    CHECK(own.private_blocks() == capacity);
    while (own.take_private()) {
    }
    magazine* empty = own.detach_empty();
    REQUIRE(empty);
    CHECK(empty->empty());
    p.check(true);
}

TEST_CASE("a local over its private limit sheds magazines of other classes first") {
    const std::size_t magazine_bytes = capacity * block_bytes;
    kit k(std::size_t{1} << 30, 2 * magazine_bytes);
    detail::pin p = k.pin();
    p.of(0).load(k.with(capacity, 0));
    p.of(2).load(k.with(capacity, 2));
    char block = 0;
    detail::bin own = p.of(size_class);
    CHECK_FALSE(own.give_private(&block));
    CHECK(own.give_chain(&block, 0));
    CHECK(own.private_blocks() == 1);
    CHECK(k.shared.leaving.blocks() > 0);
    p.check(true);
}

TEST_CASE("exchanges and the class to shed next are counted past 2^32") {
    const std::size_t magazine_bytes = capacity * block_bytes;
    for (std::uint32_t before = 0; before < 2 * classes; ++before) {
        kit k(std::size_t{1} << 30, 2 * magazine_bytes);
        detail::test_peer<detail::local>::nearly_wrap(*k.local, before);
        detail::pin p = k.pin();
        p.of(0).load(k.with(capacity, 0));
        p.of(2).load(k.with(capacity, 2));
        char block = 0;
        detail::bin own = p.of(size_class);
        CHECK_FALSE(own.give_private(&block));
        CHECK(own.give_chain(&block, 0));
        CHECK(k.shared.leaving.blocks() > 0);
        p.check(true);
        for (std::uint32_t i = 1; i < 2 * classes; ++i) CHECK(p.count_exchange() == i - before);
    }
}

TEST_CASE("a pool whose locals count exchanges past 2^32 steals, looks and ticks") {
    const support::calm no_dice;
    constexpr std::size_t count = 10'000;
    tidepool::pool_options options{.decay_interval = std::chrono::milliseconds(1)};
    const detail::pool_ptr pool = detail::make_pool(options, tidepool::pages_upstream());
    const std::uint32_t index = detail::pool_index(*pool);
    const auto local_of_caller = [&]() -> detail::local& {
        detail::deallocate(*pool, index, detail::allocate(*pool, index, size_class), size_class);
        return *detail::this_thread->pin_slots[index].get().body;
    };
    const auto swap_stock = [&] {
        std::vector<void*> taken(count);
        for (void*& each : taken) each = detail::allocate(*pool, index, size_class);
        CHECK(std::set<void*>(taken.begin(), taken.end()).size() == count);
        for (void* each : taken) detail::deallocate(*pool, index, each, size_class);
    };
    for (const std::uint32_t before : {1U, 20U, 100U}) {
        std::thread([&] {
            detail::test_peer<detail::local>::nearly_wrap(local_of_caller(), before);
            swap_stock();
        }).join();
        detail::test_peer<detail::local>::nearly_wrap(local_of_caller(), before);
        const std::uint64_t ticks = detail::snapshot(*pool).ticks;
        do swap_stock();  // until the clock has moved
        while (detail::snapshot(*pool).ticks < ticks + 2);
    }
    CHECK(detail::snapshot(*pool).blocks_in_use == 0);
}

TEST_CASE("check() finds magazines that a local has not counted") {
    kit k;
    detail::pin p = k.pin();
    p.of(size_class).load(k.with(1));
    p.check(true);
    CHECK(support::died([&] {
              detail::test_peer<detail::local>::forget_private_bytes(*k.local);
              p.check(true);
          }).said("private magazines"));
    CHECK(support::died([&] {
              detail::test_peer<detail::local>::claim_unused(*k.local);
              p.check(true);
          }).said("says that it has none"));
}

TEST_CASE("the counts of a local hold with thieves at both generations") {
    kit k;
    constexpr std::size_t thieves = 3, rounds = support::scaled(200'000);
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> got{0}, garbled{0};
    std::uint64_t put = 0, gone = 0;
    const auto settle = [&](magazine* m) {
        m->set_count(0);
        k.shared.put_empty(m);
    };
    support::on_threads(thieves + 1, [&](std::size_t me) {
        if (me < thieves) {
            std::uint64_t mine = 0;
            while (!over)
                for (const generation g : {generation::young, generation::old})
                    if (magazine* m = k.local->steal(size_class, g)) {
                        if (m->count() == 0 || m->count() > capacity) ++garbled;
                        mine += m->count();
                        settle(m);
                    }
            got += mine;
            return;
        }
        for (std::size_t i = 0; i < rounds; ++i) {
            magazine* m = k.shared.take_empty(size_class);
            m->set_count(1 + i % capacity);
            put += m->count();
            detail::pin p = k.pin();
            detail::bin own = p.of(size_class);
            own.load(m);
            own.empty_to_chain();
            if (i % 64 == 0) own.rotate();
            k.shared.leaving.receive(detail::outgoing::everything, [&](magazine* down) {
                gone += down->count();
                settle(down);
            });
        }
        over = true;
    });
    CHECK(garbled == 0);
    CHECK(put == got + gone + k.blocks_chained());
    CHECK(k.local->bytes_chained() == k.blocks_chained() * block_bytes);
    std::uint64_t left = 0;
    for (const generation g : {generation::young, generation::old})
        while (magazine* m = k.local->steal(size_class, g)) left += m->count();
    CHECK(put == got + gone + left);
    CHECK(k.blocks_chained() == 0);
    CHECK(k.local->bytes_chained() == 0);
}

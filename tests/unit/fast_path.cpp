// include/tidepool/detail/fast_path.hpp and src/base/asymmetric_fence.hpp: the pin slot, its local, and the private
// hit.
#include <tidepool/detail/fast_path.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/asymmetric_fence.hpp"
#include "base/waiting.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;
namespace asymmetric_fence = tidepool::detail::asymmetric_fence;

namespace {

// An open local with a hot bin for each class.
struct open_local {
    detail::local_head front;
    std::array<detail::hot_bin, detail::hot_bin_count> bins{};
    open_local() { front.reopen(); }

    detail::hot_bin& of(std::size_t size_class) { return front.bin_at(detail::bin_offset_of(size_class)); }
    void load(std::size_t size_class, detail::magazine& m, std::int32_t hits) {
        of(size_class) = {m.blocks() + m.count(), m.blocks(), m.blocks() + m.capacity(), hits, hits};
    }
};

struct small_magazine : detail::magazine {
    std::array<void*, 4> room{};
    small_magazine() : magazine(0, 4) {}
};

// Gives the calling thread this slot for its lifetime, instead of one from the process's table.
class borrowed_slot {
public:
    borrowed_slot() : before_(detail::this_thread) { detail::this_thread = slot_.get(); }
    ~borrowed_slot() { detail::this_thread = before_; }
    detail::thread_slot& operator*() { return *slot_; }
    detail::thread_slot* operator->() { return slot_.get(); }

private:
    std::unique_ptr<detail::thread_slot> slot_ = std::make_unique<detail::thread_slot>(7, true);
    detail::thread_slot* before_;
};

}  // namespace

TEST_CASE("the hot bins stand directly behind the head of a local, the first for no class") {
    open_local l;
    CHECK(l.front.own() == l.bins.data());
    CHECK(l.front.bins() == l.bins.data());
    CHECK(&l.of(0) == &l.bins[1]);
    CHECK(&l.of(detail::size_class_count - 1) == &l.bins[detail::hot_bins_taken_from - 1]);
    CHECK_FALSE(l.front.stopped());
}

TEST_CASE("a stopped local is both empty and full") {
    open_local l;
    small_magazine m;
    m.set_count(2);
    l.load(3, m, 1);
    l.front.stop();
    CHECK(l.front.stopped());
    for (std::size_t c = 0; c < detail::size_class_count; ++c) {
        CHECK(l.of(c).empty());
        CHECK(l.of(c).full());
    }
    l.front.reopen();
    CHECK_FALSE(l.front.stopped());
    CHECK(l.of(3).count() == 2);
}

TEST_CASE("a pin slot is closed while its owner is inside, also to a signal handler") {
    detail::local_head closed;
    open_local l;
    detail::pin_slot d(l.front);
    CHECK_FALSE(d.occupied(l.front));
    detail::local_head& mine = d.enter(closed);
    CHECK(&mine == &l.front);
    CHECK(d.occupied(l.front));
    // A signal handler between the owner's two steps.
    detail::local_head& found = d.enter(closed);
    CHECK(&found == &closed);
    CHECK(found.bins() == detail::closed_bins.data());
    d.leave(found);
    CHECK(d.occupied(l.front));  // the handler leaves the pin slot closed
    d.leave(mine);
    CHECK_FALSE(d.occupied(l.front));
    CHECK(&d.get() == &l.front);
}

TEST_CASE("a new thread slot has no local and misses in every pool") {
    if (detail::always_slow) return;
    const borrowed_slot slot;
    int missed = 0;
    void* const from_elsewhere = &missed;
    for (std::uint32_t index = 0; index < detail::direct_pools; ++index)
        for (const std::size_t c : {std::size_t{0}, std::size_t{detail::size_class_count - 1}}) {
            CHECK(detail::take_or(index, detail::bin_offset_of(c), [&] { return ++missed, from_elsewhere; }) ==
                  from_elsewhere);
            detail::give_or(index, detail::bin_offset_of(c), from_elsewhere, [&] { ++missed; });
        }
    CHECK(missed == static_cast<int>(detail::direct_pools) * 4);
}

TEST_CASE("a block that is given twice in a row misses, also where it is the only one") {
    if (detail::always_slow) return;
    borrowed_slot slot;
    open_local l;
    small_magazine m;
    l.load(3, m, 1000);
    slot->pin_slots[5].set(l.front);
    std::array<int, 2> blocks{};
    int missed = 0;
    const auto give = [&](void* block) { detail::give_or(5, detail::bin_offset_of(3), block, [&] { ++missed; }); };
    give(&blocks[0]);
    CHECK(missed == 0);
    give(&blocks[0]);
    CHECK(missed == 1);
    give(&blocks[1]);
    give(&blocks[1]);
    CHECK(missed == 2);
    CHECK(l.of(3).count() == 2);
    CHECK(&slot->pin_slots[5].get() == &l.front);
}

TEST_CASE("a private hit takes the newest block and is counted; a miss changes nothing") {
    if (detail::always_slow) return;  // these builds always take the slow path
    borrowed_slot slot;
    open_local l;
    small_magazine m;
    l.load(3, m, 1000);
    slot->pin_slots[5].set(l.front);
    std::array<int, 5> blocks{};
    int missed = 0;
    const auto give = [&](void* block) { detail::give_or(5, detail::bin_offset_of(3), block, [&] { ++missed; }); };
    const auto take = [&] {
        return detail::take_or(5, detail::bin_offset_of(3), [&]() -> void* { return ++missed, nullptr; });
    };

    CHECK(take() == nullptr);
    CHECK(missed == 1);
    for (int i = 0; i < 4; ++i) give(&blocks[static_cast<std::size_t>(i)]);
    CHECK(missed == 1);
    CHECK(l.of(3).full());
    give(&blocks[4]);
    CHECK(missed == 2);
    CHECK(std::size_t(l.bins[4].top - l.bins[4].begin) == 4);

    l.front.stop();
    CHECK(take() == nullptr);
    give(&blocks[4]);
    CHECK(missed == 4);
    CHECK(std::size_t(l.bins[4].top - l.bins[4].begin) == 4);
    CHECK_FALSE(slot->pin_slots[5].occupied(l.front));
    l.front.reopen();

    for (std::size_t i = 4; i-- > 0;) CHECK(take() == &blocks[i]);
    CHECK(l.of(3).hits_left == 996);
    CHECK(take() == nullptr);
    CHECK(missed == 5);
    CHECK(l.of(3).hits_left == 996);
    CHECK(l.of(3).empty());
    for (const detail::hot_bin& each : detail::closed_bins) {
        CHECK(each.top == nullptr);
        CHECK(each.hits_left == 0);
    }
    CHECK_FALSE(slot->pin_slots[5].occupied(l.front));
}

TEST_CASE("a hit is refused when no more are left until a look, and takes nothing") {
    if (detail::always_slow) return;
    borrowed_slot slot;
    open_local l;
    small_magazine m;
    m.set_count(4);
    l.load(3, m, 2);
    slot->pin_slots[5].set(l.front);
    int missed = 0;
    const auto take = [&] {
        return detail::take_or(5, detail::bin_offset_of(3), [&]() -> void* { return ++missed, nullptr; });
    };
    take();
    take();
    CHECK(missed == 0);
    take();
    CHECK(missed == 1);
    CHECK(l.of(3).count() == 2);
    CHECK(l.of(3).hits_left < 0);
    CHECK_FALSE(slot->pin_slots[5].occupied(l.front));
}

TEST_CASE("an owner and a visitor are never inside at the same time") {
    if (!asymmetric_fence::available()) return;
    constexpr std::size_t visits = support::scaled(100'000), entries = support::scaled(300'000), owners = 2;
    struct alignas(detail::apart) house {
        open_local inside;
        detail::pin_slot slot{inside.front};
        // Plain on purpose: the thread sanitizer reports a race if pin slot and membarrier do not order the two.
        alignas(detail::apart) std::uint64_t a = 0;
        alignas(detail::apart) std::uint64_t b = 0;
    };
    const auto houses = std::make_unique<std::array<house, owners>>();
    std::atomic<std::size_t> torn{0}, entered{0}, visited{0};
    std::atomic<bool> over{false};
    support::on_threads(owners + 1, [&](std::size_t me) {
        std::size_t times = 0;
        if (me < owners) {
            house& home = (*houses)[me];
            detail::local_head closed;
            while (!over.load(std::memory_order_relaxed)) {
                detail::local_head& mine = home.slot.enter(closed);
                if (mine.bins() == home.inside.front.own()) {
                    if (++times % 1024 == 0) entered.fetch_add(1024, std::memory_order_relaxed);
                    if (home.a != home.b) ++torn;
                    ++home.a;
                    std::atomic_signal_fence(std::memory_order_seq_cst);  // otherwise the compiler may merge the two
                    ++home.b;
                }
                home.slot.leave(mine);
            }
            entered += times % 1024;
            return;
        }
        // Until both have been inside often, however the processor time was shared.
        while (times < visits || entered.load(std::memory_order_relaxed) < entries) {
            for (house& each : *houses) each.inside.front.stop();
            asymmetric_fence::heavy();
            for (house& each : *houses) {
                if (!each.slot.occupied(each.inside.front)) {
                    ++times;
                    if (each.a != each.b) ++torn;
                    each.a += 1000;
                    std::atomic_signal_fence(std::memory_order_seq_cst);
                    each.b += 1000;
                }
                each.inside.front.reopen();
            }
            for (std::size_t i = times % 32; i > 0; --i) detail::pause();  // owners enter and leave meanwhile
        }
        visited += times;
        over = true;
    });
    CHECK(torn == 0);
    CHECK(entered > 0);
    CHECK(visited > 0);
    CHECK((*houses)[0].a + (*houses)[1].a == entered + 1000 * visited);
}

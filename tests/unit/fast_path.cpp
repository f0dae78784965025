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
#include "base/spin_lock.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;
namespace asymmetric_fence = tidepool::detail::asymmetric_fence;

namespace {

// An open local with room for a loaded magazine of each class.
struct open_local {
    detail::local_head front;
    std::array<detail::magazine*, detail::size_class_count> loaded;
    open_local() {
        loaded.fill(&detail::no_magazine);
        front.reopen();
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

TEST_CASE("the loaded magazines stand directly behind the local") {
    open_local l;
    CHECK(l.front.own() == l.loaded.data());
    CHECK(l.front.magazines() == l.loaded.data());
    CHECK_FALSE(l.front.stopped());
}

TEST_CASE("a stopped local is both empty and full") {
    open_local l;
    small_magazine m;
    m.set_count(2);
    l.loaded[3] = &m;
    l.front.stop();
    CHECK(l.front.stopped());
    for (std::size_t c = 0; c < detail::size_class_count; ++c) {
        CHECK(l.front.magazines()[c]->count() == 0);
        CHECK(l.front.magazines()[c]->capacity() == 0);
    }
    l.front.reopen();
    CHECK_FALSE(l.front.stopped());
    CHECK(l.front.magazines()[3] == &m);
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
    CHECK(found.magazines()[0]->capacity() == 0);
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
            CHECK(detail::take_or(index, c, [&] { return ++missed, from_elsewhere; }) == from_elsewhere);
            detail::give_or(index, c, from_elsewhere, [&] { ++missed; });
        }
    CHECK(missed == static_cast<int>(detail::direct_pools) * 4);
}

TEST_CASE("a private hit takes the newest block and is counted; a miss changes nothing") {
    if (detail::always_slow) return;  // these builds always take the slow path
    borrowed_slot slot;
    open_local l;
    small_magazine m;
    l.loaded[3] = &m;
    slot->pin_slots[5].set(l.front);
    std::array<int, 5> blocks{};
    int missed = 0;
    const auto give = [&](void* block) { detail::give_or(5, 3, block, [&] { ++missed; }); };
    const auto take = [&] { return detail::take_or(5, 3, [&]() -> void* { return ++missed, nullptr; }); };

    CHECK(take() == nullptr);
    CHECK(missed == 1);
    for (int i = 0; i < 4; ++i) give(&blocks[static_cast<std::size_t>(i)]);
    CHECK(missed == 1);
    CHECK(m.full());
    give(&blocks[4]);
    CHECK(missed == 2);
    CHECK(m.count() == 4);

    l.front.stop();
    CHECK(take() == nullptr);
    give(&blocks[4]);
    CHECK(missed == 4);
    CHECK(m.count() == 4);
    CHECK_FALSE(slot->pin_slots[5].occupied(l.front));
    l.front.reopen();

    for (std::size_t i = 4; i-- > 0;) CHECK(take() == &blocks[i]);
    CHECK(m.hits() == 4);
    CHECK(take() == nullptr);
    CHECK(missed == 5);
    CHECK(m.hits() == 4);
    CHECK(m.count() == 0);
    CHECK(detail::no_magazine.count() == 0);
    CHECK(detail::no_magazine.hits() == 0);
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
                if (mine.magazines() == home.inside.front.own()) {
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

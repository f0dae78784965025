#include "pool/roster.hpp"

#include <algorithm>

#include "base/lock_guard.hpp"
#include "cache/steal.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

// How long an owner waits for a visitor before it goes past the cache: as long as one that runs may take, and some naps
// for one that does not, because the owner's priority is higher.
constexpr unsigned owner_wait_rounds = waits_awake + 16;
constexpr unsigned fork_wait_rounds = 4096;  // how long a fork waits for all owners: 0.2 s
// ... of one that the last fork has waited for in vain: it may have left by a jump out of a signal handler, for good.
constexpr unsigned late_wait_rounds = waits_awake;

}  // namespace

pin roster::enter(std::uint64_t now) noexcept {
    local* its = mine(now);
    return its ? enter(*its) : pin();
}

// Waits for a visitor, who is quick; gives up after a bounded time, and at once in a signal handler that has
// interrupted the owner.
pin roster::enter(local& mine) noexcept {
    thread_slot& me = *this_thread;
    for (unsigned round = 0; round < owner_wait_rounds; ++round) {
        local_head& found = mine.slot->enter(me);
        if (&found == mine.head && found.bins() == found.own()) [[likely]]
            return pin(mine, pin::who::owner);
        // A signal handler made the local while the thread was about to find that it had none, and the thread then left
        // that behind: nobody is inside.
        const bool left_behind = &found == &no_local;
        mine.slot->leave(left_behind ? *mine.head : found);
        if (left_behind) continue;
        if (&found != mine.head) break;
        wait_long(round);
    }
    return pin();
}

local* roster::mine(std::uint64_t now) noexcept {
    thread_slot* slot = thread_slots::mine();
    if (!slot) return nullptr;
    if (local* its = slot->pin_slots[index_].get().body) return its;
    // There is none yet, or a signal handler has interrupted the owner, or the pool has no pin slot in the table.
    if (local* its = by_slot_.get(slot->index)) return its;
    return add(*slot, now);
}

local* roster::add(thread_slot& slot, std::uint64_t now) noexcept {
    const lock_guard hold(growing);
    arena& records = shared_.records;
    const std::uint32_t number = count_.load(std::memory_order_relaxed);  // relaxed: written under `growing` only
    if (number >= stable_table<local>::entries_max) return nullptr;
    // A magazine for each class there can be, not only for the pool's: a request above its largest block is then a miss
    // like any other. A pool of one size needs one.
    const std::size_t shown = shared_.sizes.only ? 2 : hot_bin_count;
    auto* head = records.make<local_head>(shown * sizeof(hot_bin));
    if (!head) return nullptr;
    std::uninitialized_default_construct_n(head->own(), shown);
    pin_slot* in_table = index_ != no_index ? &slot.pin_slots[index_] : nullptr;
    auto* fresh = records.make<local>(local::bytes_behind(shared_), shared_, head, in_table, number, now);
    if (!fresh) return nullptr;
    head->body = fresh;
    head->reopen();
    if (!by_number_.set(number, fresh, records) || !by_slot_.set(slot.index, fresh, records)) return nullptr;
    fresh->slot->set(*head);
    // Release: the local and its entry, for visitors and thieves. Sequentially consistent: see steal().
    count_.store(number + 1, std::memory_order_seq_cst);
    return fresh;
}

magazine* roster::search(bin& own, generation g) noexcept {
    const std::uint32_t size_class = own.size_class();
    // In another row each time: of more than 4096 locals a search asks a part.
    const std::uint32_t start = own.local_number() + (g == generation::young) + hint::width * own.exchanges();
    return detail::steal(
        own.shared().hint_of(g), start, [&] { return count_.load(std::memory_order_seq_cst); },  // partner: add()
        [&](std::uint32_t n) {
            local& each = *by_number_.get(n);
            return n == own.local_number() ? each.take_tail(size_class, g) : each.steal(size_class, g);
        },
        [&](std::uint32_t n) { return by_number_.get(n)->has(size_class, g); });
}

bool roster::owners_unreachable() noexcept {
    return asymmetric_fence::refused() || (!thread_slots::alone() && !asymmetric_fence::available());
}

local* roster::callers() const noexcept { return this_thread->usable ? by_slot_.get(this_thread->index) : nullptr; }

std::size_t roster::keep_own(local** group, std::size_t count) noexcept {
    const local* mine = callers();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i)
        if (group[i] == mine)
            group[kept++] = group[i];
        else
            group[i]->head->reopen();
    return kept;
}

void roster::drain(local& each) noexcept {
    for (std::uint32_t c = 0; c < shared_.sizes.count; ++c)
        for (const generation g : {generation::young, generation::old})
            while (magazine* m = each.take_tail(c, g)) shared_.leaving.send(m);
}

void roster::thread_exits(std::uint32_t slot) noexcept {
    local* its = by_slot_.get(slot);
    if (!its) return;
    const lock_guard hold_too(growing);  // for who has no local any more
    const lock_guard hold(visiting);     // instead of the pin slot: no visitor is inside, and the owner is here
    if (its->occupied()) return abandon(*its, slot);  // it exits in a signal handler that has interrupted it inside
    pin last(*its, pin::who::visitor);
    for (std::uint32_t c = 0; c < last.classes(); ++c) last.of(c).empty_to_chain();
}

// ---- around a fork

void roster::stop_all() noexcept {
    for_each([](local& each) { each.head->stop(); });
    if (!(kept_out_ = keep_out())) return;
    const local* mine = callers();
    unsigned round = 0;
    for_each([&](local& each) {
        if (&each == mine || each.abandoned) return;
        const unsigned last = std::min(fork_wait_rounds, each.late ? round + late_wait_rounds : fork_wait_rounds);
        for (; each.occupied() && round < last; ++round) wait_long(round);
        each.kept_out = !each.occupied();
        each.late = !each.kept_out;
    });
}

void roster::reopen_all() noexcept {
    for_each([](local& each) { each.head->reopen(); });
}

void roster::abandon(local& its, std::uint32_t slot) noexcept {
    its.abandoned = true;
    its.repay_all();
    by_slot_.set(slot, nullptr, shared_.records);
    thread_slots::close(slot, index_);
}

// An owner that was still inside is gone with its local half changed, which is abandoned: only thieves go there. The
// slot alone does not say so: an owner that is kept out may just have looked in at the moment of the fork, and its slot
// is put right (tests/models/slot.pml).
void roster::inherit() noexcept {
    const local* mine = callers();
    for (std::uint32_t slot = 0; slot < thread_slots::count(); ++slot) {
        local* each = by_slot_.get(slot);
        if (!each) continue;
        if (each != mine) {
            if (!kept_out_ || (!each->kept_out && each->occupied())) {
                abandon(*each, slot);
                continue;
            }
            pin theirs(*each, pin::who::visitor);
            for (std::uint32_t c = 0; c < theirs.classes(); ++c) theirs.of(c).empty_to_chain();
            each->slot->set(*each->head);
        }
        each->head->reopen();
    }
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

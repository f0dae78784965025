// The engine's making, and the way of a block to the program and back.
#include "pool/pool.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "base/asymmetric_fence.hpp"
#include "base/chaos.hpp"
#include "base/poison.hpp"
#include "base/thread_slots.hpp"
#include "cache/steal.hpp"
#include "cache/victim.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::uint32_t refill_first = 16;    // blocks; doubles with each refill up to a magazine
constexpr std::uint32_t chain_slots_min = 8;  // what a thread's two magazines need at a tick, and more
constexpr std::uint32_t chain_slots_max = 1U << 20;
constexpr std::size_t chained_bytes_min = 16 * 1024;
constexpr unsigned owner_wait_rounds = 256;  // how long an owner waits for a visitor before it goes past the cache
constexpr unsigned lone_divisor = 8;         // magazines are that much smaller where nobody can look into them

std::uint32_t magazine_capacity(const pool_plan& plan, std::size_t block_bytes, bool asymmetric_fence) noexcept {
    std::size_t blocks = std::min(plan.magazine_bytes_max / block_bytes, plan.blocks_per_magazine_max);
    if (!asymmetric_fence) blocks /= lone_divisor;
    return static_cast<std::uint32_t>(std::max<std::size_t>(blocks, 1));
}

// Of magazines with less than 16 KiB a chain holds no more than of those, lest their pointers take as much as their
// blocks.
std::uint32_t chain_slots(std::size_t bytes_max, std::size_t magazine_bytes) noexcept {
    const std::size_t magazines =
        std::min<std::size_t>(bytes_max / std::max(magazine_bytes, chained_bytes_min), chain_slots_max);
    return std::max(static_cast<std::uint32_t>(std::bit_ceil(magazines)), chain_slots_min);
}

// Needs a spare. Where nothing was loaded, none is left.
void swap_with_spare(cache_bin& r, magazine*& loaded) noexcept {
    magazine* old = loaded;
    if (is_real(old)) fold_hits(r, *old);
    loaded = std::exchange(r.spare, is_real(old) ? old : nullptr);
}

}  // namespace

// ---- made and ended ------------------------------------------------------------------------------------------------

template <class Kind, class... Arguments>
pool::pool(const pool_plan& plan, const upstream& from, std::in_place_type_t<Kind> kind,
           Arguments&&... arguments) noexcept
    : plan_(plan),
      fence_available_(asymmetric_fence::available()),
      upstream_(from),
      any_source_(kind, std::forward<Arguments>(arguments)...),
      source_(std::get<Kind>(any_source_)),
      large_(upstream_),
      ledger_(plan.sizes),
      deadline_(plan.decay_interval, coarse_now()),
      index_(registry::join(*this, plan.index_wanted)) {}

pool::pool(const pool_plan& plan, const upstream& from, from_spans) noexcept
    : pool(plan, from, std::in_place_type<spans>, plan.sizes, upstream_, records_,
           plan.decay_interval == plan.decay_interval.zero() ? 0 : plan.idle_bytes_max, plan.foreign) {}

pool::pool(const pool_plan& plan, const upstream& from, from_direct) noexcept
    : pool(plan, from, std::in_place_type<direct>, plan.sizes, upstream_) {}

pool::pool(const pool_plan& plan, object_disposer disposer) noexcept
    : pool(plan, libc_upstream(), std::in_place_type<objects>, plan.sizes[0], disposer) {}

pool::~pool() {
    registry::leave(*this, index_);
    release();
}

// What only a pool in use needs. False when there is no memory for it.
bool pool::set_up() noexcept {
    if (depots_.load(std::memory_order_acquire)) return true;  // partner: the store below
    const lock_guard hold(growing_);
    if (depots_.load(std::memory_order_relaxed)) return true;
    void* place = records_.allocate(plan_.sizes.count * sizeof(depot), alignof(depot));
    if (!place || !source_.set_up()) return false;
    auto* depots = static_cast<depot*>(place);
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        depot* d = ::new (depots + c) depot;
        d->block_bytes = plan_.sizes[c];
        const std::uint32_t capacity = magazine_capacity(plan_, d->block_bytes, fence_available_);
        d->stock.set_up(c, capacity);
        d->chain_max = chain_slots(plan_.local_bytes_max, capacity * d->block_bytes);
        d->refill_first = std::min(refill_first, capacity);
    }
    depots_.store(depots, std::memory_order_release);  // the depots and the source, for all who find them here
    return true;
}

// ---- pin -----------------------------------------------------------------------------------------------------------

// The calling thread's part, made on first use. Null when it has none to be had: the thread has exited its slot, or
// there is no memory.
local* pool::my_part() noexcept {
    thread_slot* slot = thread_slots::mine();
    if (!slot) return nullptr;
    if (local* mine = slot->pin_slots[index_].get().state) return mine;
    // Behind a closed door: there is none yet, or a signal handler has interrupted the owner, or the pool has no door.
    if (local* mine = by_slot_.get(slot->index)) return mine;
    return set_up() ? add_part(*slot) : nullptr;
}

local* pool::add_part(thread_slot& slot) noexcept {
    const lock_guard hold(growing_);
    const std::uint32_t classes = plan_.sizes.count;
    const std::uint32_t number = parts_.load(std::memory_order_relaxed);  // relaxed: written under growing_ only
    pin_slot* its_slot = index_ != no_index ? &slot.pin_slots[index_] : nullptr;
    // A magazine for each class there can be, not only for the pool's: a request above its largest block is then a miss
    // like any other. A pool of one size needs one.
    const std::uint32_t shown = plan_.sizes.only ? 1 : size_class_count;
    auto* front = records_.make<local_head>(shown * sizeof(magazine*));
    if (!front) return nullptr;
    auto* part = records_.make<local>(classes * sizeof(cache_bin), front, its_slot, number,
                                      epoch_.load(std::memory_order_relaxed));
    if (!part) return nullptr;
    std::fill_n(front->own(), shown, &no_magazine);
    for (std::uint32_t c = 0; c < classes; ++c) {
        const depot& d = depot_of(c);
        cache_bin* r = ::new (&part->cache_bin_of(c)) cache_bin;
        r->magazine_bytes = static_cast<std::uint32_t>(d.stock.capacity() * d.block_bytes);
    }
    front->state = part;
    front->reopen();
    if (!by_number_.set(number, part, records_) || !by_slot_.set(slot.index, part, records_)) return nullptr;
    part->its_pin_slot->set(*front);
    // Release: the part and its entry, for visitors and thieves. Sequentially consistent: see steal().
    parts_.store(number + 1, std::memory_order_seq_cst);
    return part;
}

// True with the owner inside. Waits for a visitor, who is quick; gives up after a bounded time, and at once in a signal
// handler that has interrupted the owner.
bool pool::enter(local& mine) noexcept {
    thread_slot& me = *this_thread;
    for (unsigned round = 0; round < owner_wait_rounds; ++round) {
        local_head& found = mine.its_pin_slot->enter(me);
        if (&found == mine.front && found.magazines() == found.own()) [[likely]]
            return true;
        mine.its_pin_slot->leave(found);
        if (&found != mine.front) return false;
        wait_politely(round);
    }
    return false;
}

// ---- the way of a block to the program -----------------------------------------------------------------------------

void* pool::allocate(std::uint32_t size_class) noexcept {
    void* block = allocate_cached(size_class);
    if constexpr (always_slow)
        if (block) {
            unpoison(block, plan_.sizes[size_class]);
            if constexpr (hardened) ledger_.out(block, size_class);
        }
    return block;
}

// Own magazines first, then what costs an atomic operation, then what other threads have, then what is about to decay,
// and the source last. Stealing comes before the victim, as in Go: what is old shall leave if it can.
void* pool::allocate_cached(std::uint32_t size_class) noexcept {
    local* mine = my_part();
    if (!mine || !enter(*mine)) return bypass_allocate(size_class);
    rotate_if_behind(*mine);
    void* block = nullptr;
    if (!chance(8)) {
        block = take_private(*mine, size_class);
        if (!block) block = take_chain(*mine, size_class);
    }
    if (!block) block = take_stolen(*mine, size_class);
    if (!block) block = take_victim(*mine, size_class);
    if (block) {
        leave(*mine);
        after_exchange(*mine);
        return block;
    }
    mine->cache_bin_of(size_class).misses.add(1);
    magazine* empty = std::holds_alternative<objects>(any_source_) ? nullptr : detach_empty(*mine, size_class);
    const std::uint32_t wanted = next_refill(*mine, size_class);
    leave(*mine);
    block = empty ? refill(*mine, empty, wanted) : bypass_allocate(size_class);
    after_exchange(*mine);
    return block;
}

void* pool::take_private(local& mine, std::uint32_t size_class) noexcept {
    cache_bin& r = mine.cache_bin_of(size_class);
    magazine*& loaded = mine.loaded(size_class);
    if (loaded->empty()) {
        if (!r.spare || r.spare->empty()) return nullptr;
        swap_with_spare(r, loaded);
    }
    return loaded->hit();
}

void* pool::take_chain(local& mine, std::uint32_t size_class) noexcept {
    cache_bin& r = mine.cache_bin_of(size_class);
    magazine* m = mine.taken(r.young_chain().pop_head(), depot_of(size_class).block_bytes);
    if (!m) return nullptr;
    r.hits_chain.add(1);
    return take_from(mine, m);
}

void* pool::take_stolen(local& mine, std::uint32_t size_class) noexcept {
    depot& d = depot_of(size_class);
    magazine* m = steal(
        d.young, mine.number + 1, [&] { return parts_.load(std::memory_order_seq_cst); },  // partner: add_part()
        [&](std::uint32_t n) {
            local& other = *by_number_.get(n);
            return other.stolen(other.cache_bin_of(size_class).young_chain().pop_tail(), d.block_bytes);
        },
        [&](std::uint32_t n) { return !by_number_.get(n)->cache_bin_of(size_class).young_chain().empty(); });
    if (!m) return nullptr;
    mine.cache_bin_of(size_class).hits_steal.add(1);
    return take_from(mine, m);
}

// One's own victim first, then the others'.
void* pool::take_victim(local& mine, std::uint32_t size_class) noexcept {
    depot& d = depot_of(size_class);
    magazine* m = steal(
        d.old, mine.number, [&] { return parts_.load(std::memory_order_seq_cst); },  // partner: add_part()
        [&](std::uint32_t n) {
            local& other = *by_number_.get(n);
            return other.stolen(other.cache_bin_of(size_class).victim().pop_tail(), d.block_bytes);
        },
        [&](std::uint32_t n) { return !by_number_.get(n)->cache_bin_of(size_class).victim().empty(); });
    if (!m) return nullptr;
    mine.cache_bin_of(size_class).hits_victim.add(1);
    return take_from(mine, m);
}

// Takes one block and loads the rest.
void* pool::take_from(local& mine, magazine* m) noexcept {
    void* block = m->pop();
    load(mine, m);
    return block;
}

// Makes `m` the loaded magazine. The one before it becomes the spare if it can, so that a program that swings around a
// boundary finds it; empties beyond that go to the shared stock.
void pool::load(local& mine, magazine* m) noexcept {
    const std::uint32_t size_class = m->size_class();
    depot& d = depot_of(size_class);
    cache_bin& r = mine.cache_bin_of(size_class);
    mine.classes = std::max(mine.classes, size_class + 1);  // the only way in, so ticks need not look further
    magazine* old = std::exchange(mine.loaded(size_class), mine.account_in(r, m));
    if (!is_real(old)) return;
    fold_hits(r, *old);
    if (r.spare && r.spare->empty()) d.stock.put(mine.account_out(r, std::exchange(r.spare, nullptr)));
    if (!r.spare) {
        r.spare = old;
        return;
    }
    mine.account_out(r, old);
    if (old->empty()) {
        d.stock.put(old);
    } else if (mine.push(old, d.block_bytes, records_, d.chain_max)) {
        d.young.raise(mine.number);
    } else {
        enqueue(old);
    }
}

// Whether a further private magazine might take the part above its bound, were all of them full.
bool pool::over_private_limit(const local& mine, std::uint32_t size_class) noexcept {
    return mine.private_bytes + plan_.sizes[size_class] * depot_of(size_class).stock.capacity() >
           plan_.private_bytes_max;
}

// Owner of a rich part, who frees: other classes' magazines go down, one class after the other, until what all really
// hold is within the bound. Bounded by the number of classes.
void pool::shed_private(local& mine, std::uint32_t size_class) noexcept {
    std::uint64_t held = mine.cache_bin_of(size_class).magazine_bytes;
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        const magazine* spare = mine.cache_bin_of(c).spare;
        held += (mine.loaded(c)->count() + (spare ? spare->count() : 0)) * plan_.sizes[c];
    }
    for (std::uint32_t i = 0; i < plan_.sizes.count && held > plan_.private_bytes_max; ++i) {
        const std::uint32_t c = mine.shed_next++ % plan_.sizes.count;
        if (c == size_class) continue;
        const auto down = [&](magazine* m) {
            held -= m->count() * plan_.sizes[c];
            enqueue(m);
        };
        empty_private(mine, c, down, [&](magazine* m) { depot_of(c).stock.put(m); });
    }
}

// An empty magazine to fill outside, out of the local's own hands where it has one. Null when there is no
// memory for one.
magazine* pool::detach_empty(local& mine, std::uint32_t size_class) noexcept {
    cache_bin& r = mine.cache_bin_of(size_class);
    if (r.spare && r.spare->empty()) return mine.account_out(r, std::exchange(r.spare, nullptr));
    magazine*& loaded = mine.loaded(size_class);
    if (is_real(loaded) && loaded->empty()) {
        fold_hits(r, *loaded);
        return mine.account_out(r, std::exchange(loaded, &no_magazine));
    }
    return depot_of(size_class).stock.take(magazines_);
}

// How many blocks to ask for: twice as many with each refill, up to a magazine. A class that is little used holds
// little.
std::uint32_t pool::next_refill(local& mine, std::uint32_t size_class) noexcept {
    depot& d = depot_of(size_class);
    std::uint16_t& next = mine.cache_bin_of(size_class).refill_next;
    const std::uint32_t wanted =
        std::clamp(std::uint32_t{next}, d.refill_first, static_cast<std::uint32_t>(d.stock.capacity()));
    next = static_cast<std::uint16_t>(wanted * 2);
    return wanted;
}

// New: fills the magazine in one batch and takes the first block. When the source has nothing, the idle blocks of all
// threads go back to it and it is asked once more.
void* pool::refill(local& mine, magazine* m, std::uint32_t wanted) noexcept {
    const std::uint32_t size_class = m->size_class();
    depot& d = depot_of(size_class);
    std::size_t got = get_blocks(size_class, m->blocks(), wanted);
    if (got == 0 && trim(0) > 0) got = get_blocks(size_class, m->blocks(), 1);
    if (got == 0) {
        d.stock.put(m);
        return nullptr;
    }
    mine.cache_bin_of(size_class).refills.add(1);
    m->set_count(got);
    void* block = m->pop();
    install(mine, m);
    return block;
}

// Loads a magazine from outside; where a visitor stays too long its blocks go back.
void pool::install(local& mine, magazine* m) noexcept {
    if (enter(mine)) {
        load(mine, m);
        leave(mine);
        return;
    }
    return_blocks(m->size_class(), m->blocks(), m->count());
    m->set_count(0);
    depot_of(m->size_class()).stock.put(m);
}

// ---- the way back --------------------------------------------------------------------------------------------------

void pool::deallocate(std::uint32_t size_class, void* block) noexcept {
    if constexpr (hardened) ledger_.in(block, size_class);
    poison(block, plan_.sizes[size_class]);
    deallocate_cached(size_class, block);
}

void pool::deallocate_cached(std::uint32_t size_class, void* block) noexcept {
    local* mine = chance(4) ? nullptr : my_part();
    if (!mine || !enter(*mine)) return bypass_deallocate(size_class, block);
    rotate_if_behind(*mine);
    magazine* full = nullptr;
    bool done = give_private(*mine, size_class, block) || give_chain(*mine, size_class, block);
    if (!done) full = detach_full(*mine, size_class);
    leave(*mine);
    if (full)
        spill(*mine, full, block);
    else if (!done)
        bypass_deallocate(size_class, block);
    after_exchange(*mine);
}

bool pool::give_private(local& mine, std::uint32_t size_class, void* block) noexcept {
    cache_bin& r = mine.cache_bin_of(size_class);
    magazine*& loaded = mine.loaded(size_class);
    if (loaded->full()) {
        if (!r.spare || r.spare->full()) return false;
        swap_with_spare(r, loaded);
    }
    loaded->push(block);
    return true;
}

// The own magazines are full: one goes to the chain, and an empty one takes the block. A part that is rich in other
// classes has to do with one here. False when the local has all it may have, or there is no empty magazine to be had.
bool pool::give_chain(local& mine, std::uint32_t size_class, void* block) noexcept {
    depot& d = depot_of(size_class);
    cache_bin& r = mine.cache_bin_of(size_class);
    magazine*& loaded = mine.loaded(size_class);
    const bool rich = over_private_limit(mine, size_class);
    if (r.spare || (rich && is_real(loaded))) {
        magazine* full = r.spare ? r.spare : loaded;
        if (mine.bytes_chained() + r.magazine_bytes > plan_.local_bytes_max) return false;
        if (!r.spare) fold_hits(r, *full);
        if (!mine.push(full, d.block_bytes, records_, d.chain_max)) return false;
        mine.account_out(r, full);
        (r.spare ? r.spare : loaded) = r.spare ? nullptr : &no_magazine;
        d.young.raise(mine.number);
    } else if (rich) {
        shed_private(mine, size_class);
    }
    magazine* fresh = d.stock.take(magazines_);
    if (!fresh) return false;
    fresh->push(block);
    load(mine, fresh);
    return true;
}

// The spare, with the loaded one in its place; or the loaded one where there is no spare. Null when there is neither.
magazine* pool::detach_full(local& mine, std::uint32_t size_class) noexcept {
    cache_bin& r = mine.cache_bin_of(size_class);
    magazine* loaded = std::exchange(mine.loaded(size_class), &no_magazine);
    if (!is_real(loaded)) return r.spare ? mine.account_out(r, std::exchange(r.spare, nullptr)) : nullptr;
    fold_hits(r, *loaded);
    mine.account_out(r, loaded);
    return r.spare ? std::exchange(r.spare, loaded) : loaded;
}

// Hands a full magazine down and loads it again, empty but for the one block.
void pool::spill(local& mine, magazine* full, void* block) noexcept {
    cache_bin& r = mine.cache_bin_of(full->size_class());
    r.spills.add(1);
    r.spilled_blocks.add(full->count());
    return_blocks(full->size_class(), full->blocks(), full->count());
    full->set_count(0);
    full->push(block);
    install(mine, full);
}

// ---- past the cache ------------------------------------------------------------------------------------------------

void* pool::bypass_allocate(std::uint32_t size_class) noexcept {
    void* block = nullptr;
    if (!set_up() || get_blocks(size_class, &block, 1) == 0) return nullptr;
    bypasses_.fetch_add(1, std::memory_order_relaxed);
    return block;
}

void pool::bypass_deallocate(std::uint32_t size_class, void* block) noexcept {
    bypasses_.fetch_add(1, std::memory_order_relaxed);
    return_blocks(size_class, &block, 1);
}

void* pool::allocate_large(std::size_t bytes, std::size_t alignment) noexcept {
    void* p = large_.allocate(bytes, alignment);
    if (!p && trim(0) > 0) p = large_.allocate(bytes, alignment);  // as refill()
    after_upstream_call();
    return p;
}

void pool::deallocate_large(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    large_.deallocate(p, bytes, alignment);
    after_upstream_call();
}

void pool::created(void* object) noexcept {
    if (!set_up()) return;
    depot_of(0).given.fetch_add(1, std::memory_order_relaxed);
    held_bytes_peak_.note(held_bytes_.fetch_add(plan_.sizes[0], std::memory_order_relaxed) + plan_.sizes[0]);
    if constexpr (hardened) ledger_.out(object, 0);
}

void pool::destroyed(void* object) noexcept {
    if (!set_up()) return;
    depot_of(0).returned.fetch_add(1, std::memory_order_relaxed);
    held_bytes_.fetch_sub(plan_.sizes[0], std::memory_order_relaxed);
    if constexpr (hardened) {
        ledger_.in(object, 0);
        ledger_.forget(&object, 1);
    }
}

// ---- traffic with the source ---------------------------------------------------------------------------------------

std::size_t pool::get_blocks(std::uint32_t size_class, void** blocks, std::size_t count) noexcept {
    const std::size_t got = source_.refill(size_class, blocks, count);
    if (got == 0) return 0;
    depot_of(size_class).given.fetch_add(got, std::memory_order_relaxed);
    const std::uint64_t bytes = got * plan_.sizes[size_class];
    held_bytes_peak_.note(held_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes);
    return got;
}

void pool::return_blocks(std::uint32_t size_class, void** blocks, std::size_t count, bool stale) noexcept {
    if (count == 0) return;
    if constexpr (hardened) ledger_.forget(blocks, count);
    if (set_up()) {
        depot_of(size_class).returned.fetch_add(count, std::memory_order_relaxed);
        held_bytes_.fetch_sub(count * plan_.sizes[size_class], std::memory_order_relaxed);
    }
    source_.drain(size_class, blocks, count, stale);
}

// ---- what the faces call -------------------------------------------------------------------------------------------

void* allocate_slow(pool& from, std::uint32_t size_class) noexcept { return from.allocate(size_class); }
void deallocate_slow(pool& to, std::uint32_t size_class, void* block) noexcept { to.deallocate(size_class, block); }

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

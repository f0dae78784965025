#include "pool.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>

#include "base/clock.hpp"
#include "base/handshake.hpp"
#include "base/poison.hpp"
#include "base/thread_slots.hpp"
#include "chaos.hpp"
#include "heartbeat.hpp"
#include "steal.hpp"
#include "victim.hpp"

namespace tidepool::inline TIDEPOOL_ABI::detail {

namespace {

constexpr std::uint32_t exchanges_per_look = 16;    // magazine exchanges of a thread between two looks at the clock
constexpr std::size_t slices = 64;                  // an exchange hands down this part of what a tick has left,
constexpr std::size_t slice_blocks = 256;           // ... and this many blocks
constexpr std::size_t slice_spans = 2;              // ... and spans where they were few
constexpr std::size_t everything = static_cast<std::size_t>(-1);
constexpr std::uint32_t refill_first = 16;          // blocks; doubles with each refill up to a magazine
constexpr std::uint32_t chain_slots_max = 1U << 20;
constexpr std::uint32_t visited_at_once = 64;       // locals that share one membarrier and are stopped together
constexpr unsigned owner_wait_rounds = 256;         // how long an owner waits for a visitor before it goes past the cache
constexpr unsigned visitor_wait_rounds = 160;       // how long a visitor waits for an owner before it passes it over
constexpr unsigned visitor_naps_from = 128;         // ... of which the last are short sleeps, on loaded machines
constexpr unsigned fork_wait_rounds = 4096;         // how long a fork waits for all owners, most of it in naps: 0.2 s
constexpr unsigned lone_divisor = 8;                // magazines are that much smaller where nobody can look into them

void note_peak(std::atomic<std::uint64_t>& peak, std::uint64_t now) noexcept {
    std::uint64_t most = peak.load(std::memory_order_relaxed);
    while (most < now && !peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
    }
}

std::uint32_t magazine_capacity(const pool_plan& plan, std::size_t block_bytes, bool handshake) noexcept {
    std::size_t blocks = std::min(plan.magazine_bytes_max / block_bytes, plan.blocks_per_magazine_max);
    if (!handshake) blocks /= lone_divisor;
    return static_cast<std::uint32_t>(std::max<std::size_t>(blocks, 1));
}

std::uint32_t chain_slots(std::size_t bytes_max, std::size_t magazine_bytes) noexcept {
    const std::size_t magazines = std::min<std::size_t>(bytes_max / magazine_bytes + 1, chain_slots_max);
    return std::max(static_cast<std::uint32_t>(std::bit_ceil(magazines)), chain<magazine>::first_size);
}

void nap() noexcept {
    const timespec moment{0, 50'000};
    ::nanosleep(&moment, nullptr);
}

}  // namespace

// ---- made and ended ------------------------------------------------------------------------------------------------

template <class Kind, class... Arguments>
pool::pool(const pool_plan& plan, const upstream& below, std::in_place_type_t<Kind> kind,
           Arguments&&... arguments) noexcept
    : plan_(plan),
      handshake_(handshake::available()),
      below_(below),
      any_source_(kind, std::forward<Arguments>(arguments)...),
      source_(std::get<Kind>(any_source_)),
      large_(below_),
      ledger_(plan.sizes),
      decay_(plan.decay_interval, coarse_now()),
      index_(registry::join(*this, plan.index_wanted)) {}

pool::pool(const pool_plan& plan, const upstream& below, from_spans) noexcept
    : pool(plan, below, std::in_place_type<spans>, plan.sizes, below_, records_,
           plan.decay_interval == plan.decay_interval.zero() ? 0 : plan.idle_bytes_max, plan.stranger) {}

pool::pool(const pool_plan& plan, const upstream& below, from_direct) noexcept
    : pool(plan, below, std::in_place_type<direct>, plan.sizes, below_) {}

pool::pool(const pool_plan& plan, object_disposer disposer) noexcept
    : pool(plan, libc_upstream(), std::in_place_type<objects>, plan.sizes[0], disposer) {}

pool::~pool() {
    registry::leave(*this, index_);
    release();
}

// What only a pool in use needs. False when there is no memory for it.
bool pool::set_up() noexcept {
    if (depots_.load(std::memory_order_acquire)) return true;  // partner: the store below
    std::scoped_lock hold(growing_);
    if (depots_.load(std::memory_order_relaxed)) return true;
    void* place = records_.allocate(plan_.sizes.count * sizeof(depot), alignof(depot));
    if (!place || !source_.set_up()) return false;
    auto* depots = static_cast<depot*>(place);
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        depot* d = ::new (depots + c) depot;
        d->block_bytes = plan_.sizes[c];
        const std::uint32_t capacity = magazine_capacity(plan_, d->block_bytes, handshake_);
        d->stock.set_up(c, capacity);
        d->chain_max = chain_slots(plan_.local_bytes_max, capacity * d->block_bytes);
        d->refill_first = std::min(refill_first, capacity);
    }
    depots_.store(depots, std::memory_order_release);  // the depots and the source, for all who find them here
    return true;
}

// Relaxed: whoever gets here has come through set_up() or my_part(), which acquire.
depot& pool::depot_of(std::uint32_t size_class) noexcept {
    return depots_.load(std::memory_order_relaxed)[size_class];
}

// ---- pin -----------------------------------------------------------------------------------------------------------

// The calling thread's part, made on first use. Null when it has none to be had: the thread has exited its slot, or there
// is no memory.
local_state* pool::my_part() noexcept {
    thread_slot* slot = thread_slots::mine();
    if (!slot) return nullptr;
    if (local_state* mine = slot->doors[index_].get().state) return mine;
    // Behind a closed door: there is none yet, or a signal handler has interrupted the owner, or the pool has no door.
    if (local_state* mine = by_slot_.get(slot->index)) return mine;
    return set_up() ? add_part(*slot) : nullptr;
}

local_state* pool::add_part(thread_slot& slot) noexcept {
    std::scoped_lock hold(growing_);
    const std::uint32_t classes = plan_.sizes.count;
    const std::uint32_t number = parts_.load(std::memory_order_relaxed);  // relaxed: written under growing_ only
    door* entrance = index_ != no_index ? &slot.doors[index_] : nullptr;
    // A magazine for each class there can be, not only for the pool's: a request above its largest block is then a miss like
    // any other. A pool of one size needs one.
    const std::uint32_t shown = plan_.sizes.only ? 1 : size_class_count;
    auto* front = records_.make<local>(shown * sizeof(magazine*));
    if (!front) return nullptr;
    auto* part = records_.make<local_state>(classes * sizeof(rack), front, entrance, number,
                                            epoch_.load(std::memory_order_relaxed));
    if (!part) return nullptr;
    std::fill_n(front->own(), shown, &no_magazine);
    for (std::uint32_t c = 0; c < classes; ++c) {
        const depot& d = depot_of(c);
        rack* r = ::new (&part->rack_of(c)) rack;
        r->magazine_bytes = static_cast<std::uint32_t>(d.stock.capacity() * d.block_bytes);
    }
    front->state = part;
    front->reopen();
    if (!by_number_.set(number, part, records_) || !by_slot_.set(slot.index, part, records_)) return nullptr;
    part->entrance->set(*front);
    // Release: the part and its entry, for visitors and thieves. Sequentially consistent: see steal().
    parts_.store(number + 1, std::memory_order_seq_cst);
    return part;
}

// True with the owner inside. Waits for a visitor, who is quick; gives up after a bounded time, and at once in a signal
// handler that has interrupted the owner.
bool pool::enter(local_state& mine) noexcept {
    thread_slot& me = *this_thread;
    for (unsigned round = 0; round < owner_wait_rounds; ++round) {
        local& found = mine.entrance->enter(me);
        if (&found == mine.front && found.magazines() == found.own()) [[likely]]
            return true;
        mine.entrance->leave(found);
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
    local_state* mine = my_part();
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
    mine->rack_of(size_class).misses.add(1);
    magazine* empty = std::holds_alternative<objects>(any_source_) ? nullptr : detach_empty(*mine, size_class);
    const std::uint32_t wanted = next_refill(*mine, size_class);
    leave(*mine);
    block = empty ? refill(*mine, empty, wanted) : bypass_allocate(size_class);
    after_exchange(*mine);
    return block;
}

void* pool::take_private(local_state& mine, std::uint32_t size_class) noexcept {
    rack& r = mine.rack_of(size_class);
    magazine*& loaded = mine.loaded(size_class);
    if (loaded->empty()) {
        if (!r.spare || r.spare->empty()) return nullptr;
        magazine* old = loaded;
        if (is_real(old)) fold_hits(r, *old);
        loaded = std::exchange(r.spare, is_real(old) ? old : nullptr);
    }
    return loaded->hit();
}

void* pool::take_chain(local_state& mine, std::uint32_t size_class) noexcept {
    rack& r = mine.rack_of(size_class);
    magazine* m = mine.taken(r.young_chain().pop_head(), depot_of(size_class).block_bytes);
    if (!m) return nullptr;
    r.hits_chain.add(1);
    return take_from(mine, m);
}

void* pool::take_stolen(local_state& mine, std::uint32_t size_class) noexcept {
    depot& d = depot_of(size_class);
    magazine* m = steal(
        d.young, mine.number + 1, [&] { return parts_.load(std::memory_order_seq_cst); },  // partner: add_part()
        [&](std::uint32_t n) {
            local_state& other = *by_number_.get(n);
            return other.stolen(other.rack_of(size_class).young_chain().pop_tail(), d.block_bytes);
        },
        [&](std::uint32_t n) { return !by_number_.get(n)->rack_of(size_class).young_chain().empty(); });
    if (!m) return nullptr;
    mine.rack_of(size_class).hits_steal.add(1);
    return take_from(mine, m);
}

// One's own victim first, then the others'.
void* pool::take_victim(local_state& mine, std::uint32_t size_class) noexcept {
    depot& d = depot_of(size_class);
    magazine* m = steal(
        d.old, mine.number, [&] { return parts_.load(std::memory_order_seq_cst); },  // partner: add_part()
        [&](std::uint32_t n) {
            local_state& other = *by_number_.get(n);
            return other.stolen(other.rack_of(size_class).victim().pop_tail(), d.block_bytes);
        },
        [&](std::uint32_t n) { return !by_number_.get(n)->rack_of(size_class).victim().empty(); });
    if (!m) return nullptr;
    mine.rack_of(size_class).hits_victim.add(1);
    return take_from(mine, m);
}

// Takes one block and loads the rest.
void* pool::take_from(local_state& mine, magazine* m) noexcept {
    void* block = m->pop();
    load(mine, m);
    return block;
}

// Makes `m` the loaded magazine. The one before it becomes the spare if it can, so that a program that swings around a
// boundary finds it; empties beyond that go to the shared stock.
void pool::load(local_state& mine, magazine* m) noexcept {
    const std::uint32_t size_class = m->size_class();
    depot& d = depot_of(size_class);
    rack& r = mine.rack_of(size_class);
    magazine* old = std::exchange(mine.loaded(size_class), mine.comes(r, m));
    if (!is_real(old)) return;
    fold_hits(r, *old);
    if (r.spare && r.spare->empty()) d.stock.put(mine.goes(r, std::exchange(r.spare, nullptr)));
    if (!r.spare) {
        r.spare = old;
        return;
    }
    mine.goes(r, old);
    if (old->empty()) {
        d.stock.put(old);
    } else if (mine.push(old, d.block_bytes, records_, d.chain_max)) {
        d.young.raise(mine.number);
    } else {
        send_down(old);
    }
}

// Whether a further private magazine might take the part above its bound, were all of them full.
bool pool::is_rich(const local_state& mine, std::uint32_t size_class) noexcept {
    return mine.private_bytes + plan_.sizes[size_class] * depot_of(size_class).stock.capacity() > plan_.private_bytes_max;
}

// Owner of a rich part, who frees: other classes' magazines go down, one class after the other, until what all really hold
// is within the bound. Bounded by the number of classes.
void pool::make_room(local_state& mine, std::uint32_t size_class) noexcept {
    std::uint64_t held = mine.rack_of(size_class).magazine_bytes;
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        const magazine* spare = mine.rack_of(c).spare;
        held += (mine.loaded(c)->count() + (spare ? spare->count() : 0)) * plan_.sizes[c];
    }
    for (std::uint32_t i = 0; i < plan_.sizes.count && held > plan_.private_bytes_max; ++i) {
        const std::uint32_t c = mine.unload_next++ % plan_.sizes.count;
        if (c == size_class) continue;
        const auto down = [&](magazine* m) {
            held -= m->count() * plan_.sizes[c];
            send_down(m);
        };
        unload(mine, c, down, [&](magazine* m) { depot_of(c).stock.put(m); });
    }
}

// An empty magazine to fill outside, out of the local's own hands where it has one. Null when there is no
// memory for one.
magazine* pool::detach_empty(local_state& mine, std::uint32_t size_class) noexcept {
    rack& r = mine.rack_of(size_class);
    if (r.spare && r.spare->empty()) return mine.goes(r, std::exchange(r.spare, nullptr));
    magazine*& loaded = mine.loaded(size_class);
    if (is_real(loaded) && loaded->empty()) {
        fold_hits(r, *loaded);
        return mine.goes(r, std::exchange(loaded, &no_magazine));
    }
    return depot_of(size_class).stock.take(records_);
}

// How many blocks to ask for: twice as many with each refill, up to a magazine. A class that is little used holds little.
std::uint32_t pool::next_refill(local_state& mine, std::uint32_t size_class) noexcept {
    depot& d = depot_of(size_class);
    std::uint16_t& next = mine.rack_of(size_class).refill_next;
    const std::uint32_t wanted =
        std::clamp(std::uint32_t{next}, d.refill_first, static_cast<std::uint32_t>(d.stock.capacity()));
    next = static_cast<std::uint16_t>(wanted * 2);
    return wanted;
}

// New: fills the magazine in one batch and takes the first block. When the source has nothing, the idle blocks of all
// threads go back to it and it is asked once more.
void* pool::refill(local_state& mine, magazine* m, std::uint32_t wanted) noexcept {
    const std::uint32_t size_class = m->size_class();
    depot& d = depot_of(size_class);
    std::size_t got = get_blocks(size_class, m->blocks(), wanted);
    if (got == 0 && trim(0) > 0) got = get_blocks(size_class, m->blocks(), 1);
    if (got == 0) {
        d.stock.put(m);
        return nullptr;
    }
    mine.rack_of(size_class).refills.add(1);
    m->set_count(got);
    void* block = m->pop();
    install(mine, m);
    return block;
}

// Loads a magazine from outside; where a visitor stays too long its blocks go back.
void pool::install(local_state& mine, magazine* m) noexcept {
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
    local_state* mine = chance(4) ? nullptr : my_part();
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

bool pool::give_private(local_state& mine, std::uint32_t size_class, void* block) noexcept {
    rack& r = mine.rack_of(size_class);
    magazine*& loaded = mine.loaded(size_class);
    if (loaded->full()) {
        if (!r.spare || r.spare->full()) return false;
        magazine* old = loaded;
        if (is_real(old)) fold_hits(r, *old);
        loaded = std::exchange(r.spare, is_real(old) ? old : nullptr);
    }
    loaded->push(block);
    return true;
}

// The own magazines are full: one goes to the chain, and an empty one takes the block. A part that is rich in other classes
// has to do with one here. False when the local has all it may have, or there is no empty magazine to be had.
bool pool::give_chain(local_state& mine, std::uint32_t size_class, void* block) noexcept {
    depot& d = depot_of(size_class);
    rack& r = mine.rack_of(size_class);
    magazine*& loaded = mine.loaded(size_class);
    const bool rich = is_rich(mine, size_class);
    if (r.spare || (rich && is_real(loaded))) {
        magazine* full = r.spare ? r.spare : loaded;
        if (mine.bytes_chained() + r.magazine_bytes > plan_.local_bytes_max) return false;
        if (!r.spare) fold_hits(r, *full);
        if (!mine.push(full, d.block_bytes, records_, d.chain_max)) return false;
        mine.goes(r, full);
        (r.spare ? r.spare : loaded) = r.spare ? nullptr : &no_magazine;
        d.young.raise(mine.number);
    } else if (rich) {
        make_room(mine, size_class);
    }
    magazine* fresh = d.stock.take(records_);
    if (!fresh) return false;
    fresh->push(block);
    load(mine, fresh);
    return true;
}

// The spare, with the loaded one in its place; or the loaded one where there is no spare. Null when there is neither.
magazine* pool::detach_full(local_state& mine, std::uint32_t size_class) noexcept {
    rack& r = mine.rack_of(size_class);
    magazine* loaded = std::exchange(mine.loaded(size_class), &no_magazine);
    if (!is_real(loaded)) return r.spare ? mine.goes(r, std::exchange(r.spare, nullptr)) : nullptr;
    fold_hits(r, *loaded);
    mine.goes(r, loaded);
    return r.spare ? std::exchange(r.spare, loaded) : loaded;
}

// Hands a full magazine down and loads it again, empty but for the one block.
void pool::spill(local_state& mine, magazine* full, void* block) noexcept {
    rack& r = mine.rack_of(full->size_class());
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
    note_peak(held_bytes_peak_, held_bytes_.fetch_add(plan_.sizes[0], std::memory_order_relaxed) + plan_.sizes[0]);
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
    note_peak(held_bytes_peak_, held_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes);
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

// By an owner inside or a visitor, where the source may not be called: the magazine waits for the next who is outside.
void pool::send_down(magazine* m) noexcept {
    depot_of(m->size_class()).outgoing.fetch_add(m->count(), std::memory_order_relaxed);
    outgoing_blocks_.fetch_add(m->count(), std::memory_order_relaxed);
    outgoing_.push(m);
}

// Hands waiting magazines down, one at a time, so that no lock of the source is held for long. Returns the bytes.
std::size_t pool::drain_outgoing(std::size_t blocks_max) noexcept {
    std::size_t bytes = 0;
    for (std::size_t blocks = 0; blocks < blocks_max;) {
        magazine* m = outgoing_.pop();
        if (!m) break;
        blocks += m->count();
        outgoing_blocks_.fetch_sub(m->count(), std::memory_order_relaxed);
        depot& d = depot_of(m->size_class());
        bytes += m->count() * d.block_bytes;
        return_blocks(m->size_class(), m->blocks(), m->count(), true);
        d.outgoing.fetch_sub(m->count(), std::memory_order_relaxed);
        m->set_count(0);
        d.stock.put(m);
    }
    if (bytes > 0) purge_owed_.store(true, std::memory_order_relaxed);
    return bytes;
}

// A bounded part of what a tick has left to be handed down: more where there is more, so that it is gone in time.
void pool::hand_down_some() noexcept {
    if (const std::uint64_t waiting = outgoing_blocks_.load(std::memory_order_relaxed)) [[unlikely]]
        drain_outgoing(std::max<std::size_t>(slice_blocks, waiting / slices));
    if (const std::size_t due = source_.due()) [[unlikely]]
        give_due(std::max(slice_spans, due / slices));
}

void pool::give_due(std::size_t spans_max) noexcept {
    if (source_.give_due(spans_max) > 0) purge_owed_.store(true, std::memory_order_relaxed);
}

// What decays shall really leave: when all that a tick has left is on its way, the upstream is asked for its own purge, once for
// each tick. What another thread is just handing down may miss it, and is taken by the next one.
void pool::purge_when_done() noexcept {
    if (!leaving_.load(std::memory_order_relaxed)) return;
    if (outgoing_blocks_.load(std::memory_order_relaxed) != 0 || source_.due() != 0) return;
    leaving_.store(false, std::memory_order_relaxed);
    if (purge_owed_.exchange(false, std::memory_order_relaxed)) below_.purge();
}

// ---- decay ---------------------------------------------------------------------------------------------------------

// A heartbeat that came out of our own call has waited for this.
void pool::after_upstream_call() noexcept {
    if (heard_heartbeat()) registry::tick_due(coarse_now());
}

// A thread's share of the pool's upkeep, once an exchange: a slice of what a tick has left, and now and then a look at the
// clock; each time while several pools are due, because one look ticks one of them.
void pool::after_exchange(local_state& mine) noexcept {
    hand_down_some();
    if (++mine.exchanges % exchanges_per_look == 0 || registry::tick_unfinished())
        registry::tick_due(coarse_now());
    else
        after_upstream_call();
}

// Owner. Makes up for the ticks since the part was rotated last: one as a rule, more where the visitor found the owner
// inside. Two empty the part, so more are not needed. Relaxed: an epoch that is just changing is seen at the next exchange.
void pool::rotate_if_behind(local_state& part) noexcept {
    const std::uint64_t now = epoch_.load(std::memory_order_relaxed);
    const std::uint64_t behind = now - part.epoch.load(std::memory_order_relaxed);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(behind, 2); ++i)
        for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) rotate(part, c);
    part.epoch.store(now, std::memory_order_relaxed);
}

// Owner.
void pool::rotate(local_state& part, std::uint32_t size_class) noexcept {
    rack& r = part.rack_of(size_class);
    if (!is_real(part.loaded(size_class)) && !r.spare && r.young_chain().empty() && r.victim().empty()) return;
    depot& d = depot_of(size_class);
    const bool some = detail::rotate(
        part, size_class, d.block_bytes, records_, d.chain_max, [&](magazine* m) { send_down(m); },
        [&](magazine* m) { d.stock.put(m); });
    if (some) d.old.raise(part.number);
}

// Calls look(part) for each part there is.
template <class Look>
void pool::for_parts(Look look) noexcept {
    const std::uint32_t parts = parts_.load(std::memory_order_acquire);  // partner: add_part()
    for (std::uint32_t n = 0; n < parts; ++n) look(*by_number_.get(n));
}

// Calls look(part) for each part with its owner kept out, under visiting_. An owner that does not come out in a bounded
// time is passed over. Groups share one membarrier, so the cost of a visit is one for each 64 threads, and nobody is kept
// waiting for longer than a group takes.
template <class Look>
void pool::visit_all(Look look) noexcept {
    if (!handshake_) return;
    const std::uint32_t parts = parts_.load(std::memory_order_acquire);  // partner: add_part()
    std::array<local_state*, visited_at_once> inside;
    for (std::uint32_t first = 0; first < parts; first += visited_at_once) {
        const std::uint32_t last = std::min(first + visited_at_once, parts);
        for (std::uint32_t n = first; n < last; ++n) by_number_.get(n)->front->stop();
        handshake::barrier();
        std::size_t waiting = 0;
        for (std::uint32_t n = first; n < last; ++n) {
            local_state* part = by_number_.get(n);
            if (part->occupied()) {
                inside[waiting++] = part;
                continue;
            }
            look(*part);
            part->front->reopen();
        }
        unsigned round = 0;
        for (std::size_t i = 0; i < waiting; ++i) {
            local_state& part = *inside[i];
            for (; part.occupied() && round < visitor_wait_rounds; ++round)
                round < visitor_naps_from ? wait_politely(round) : nap();
            if (!part.occupied()) look(part);
            part.front->reopen();
        }
    }
}

// Under visiting_.
void pool::perform_tick() noexcept {
    const std::uint64_t now = epoch_.load(std::memory_order_relaxed) + 1;
    epoch_.store(now, std::memory_order_relaxed);
    if (handshake_) {
        visit_all([&](local_state& part) { rotate_if_behind(part); });
    } else {
        // Owners rotate themselves. Chains of an owner that has not come by for two ticks hold nothing younger than that:
        // it would have rotated before it put anything there. They are drained as a thief drains them.
        for_parts([&](local_state& part) {
            if (now - part.epoch.load(std::memory_order_relaxed) < 2) return;
            for (std::uint32_t c = 0; c < plan_.sizes.count; ++c)
                for (chain<magazine>& each : part.rack_of(c).chains)
                    while (magazine* m = part.stolen(each.pop_tail(), depot_of(c).block_bytes)) send_down(m);
        });
    }
    std::uint64_t cached = 0;
    for_parts([&](local_state& part) { cached += part.bytes_chained(); });
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c)
        cached += depot_of(c).outgoing.load(std::memory_order_relaxed) * depot_of(c).block_bytes;
    note_peak(cached_bytes_peak_, cached);
}

// A whole tick, but for handing down.
void pool::age() noexcept {
    finish_tick();
    source_.age();
    {
        std::scoped_lock hold(visiting_);
        perform_tick();
    }
    leaving_.store(true, std::memory_order_relaxed);
}

void pool::tick_now() noexcept {
    if (!depots_.load(std::memory_order_acquire)) return;  // partner: set_up()
    age();
    finish_tick();
}

void pool::finish_tick() noexcept {
    if (!depots_.load(std::memory_order_acquire)) return;  // partner: set_up()
    drain_outgoing(everything);
    give_due(everything);
    purge_when_done();
}

// By a thread that came for a block, of this pool or of another one, or by a heartbeat: it hands down a slice, and later
// looks at the clock the rest. What they leave is handed down before the next tick begins, so nothing is older than two
// ticks. Of several threads that come at once, one performs it.
bool pool::tick_if_due(std::chrono::nanoseconds now) noexcept {
    const bool mine = decay_.claim(now);
    if (!depots_.load(std::memory_order_acquire)) return false;  // partner: set_up()
    if (!mine && !leaving_.load(std::memory_order_relaxed)) return false;
    if (mine) age();
    hand_down_some();
    purge_when_done();
    return true;
}

std::chrono::nanoseconds pool::due() const noexcept {
    return leaving_.load(std::memory_order_relaxed) ? std::chrono::nanoseconds::min() : decay_.due();
}

// Objects end by the program's own code, which cannot be run in the midst of anybody's allocation.
bool pool::leaf() const noexcept { return !std::holds_alternative<objects>(any_source_) && below_.leaf(); }

// The purge is left to the next tick: memory that is wanted at once need not leave the process.
void pool::relieve(const void* allocator, relief how) noexcept {
    if (!below_.stands_on(allocator) || !depots_.load(std::memory_order_acquire)) return;  // partner: set_up()
    if (how == relief::trim) {
        trim(0);
        return;
    }
    age();
    drain_outgoing(everything);
    give_due(everything);
    leaving_.store(false, std::memory_order_relaxed);
}

// Under the registry's lock. The exiting owner hands its own magazines to its chain, where all can take them at once, and
// where they age on as if it lived.
void pool::thread_exits(thread_slot& slot) noexcept {
    local_state* part = by_slot_.get(slot.index);
    if (!part) return;
    std::scoped_lock hold(visiting_);  // instead of the door: no visitor is inside, and the owner is here
    unload_to_chain(*part);
}

// Owner.
void pool::unload_to_chain(local_state& part) noexcept {
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        if (!is_real(part.loaded(c)) && !part.rack_of(c).spare) continue;
        depot& d = depot_of(c);
        unload(
            part, c,
            [&](magazine* m) {
                if (part.push(m, d.block_bytes, records_, d.chain_max))
                    d.young.raise(part.number);
                else
                    send_down(m);
            },
            [&](magazine* m) { d.stock.put(m); });
    }
}

// ---- fork ----------------------------------------------------------------------------------------------------------
//
// The child has one thread and a copy of all memory as it was. For that copy to be whole, the forking thread first keeps
// every owner out of its local, as a visitor does, and then takes every lock. What the child loses are the blocks that
// other threads had in hand between a local and the source: a magazine a thread at most, as if they had allocated it.

void pool::before_fork() noexcept {
    growing_.lock();
    visiting_.lock();
    stop_all();
    lock_mechanisms();
}

void pool::after_fork_in_parent() noexcept {
    unlock_mechanisms();
    for_parts([](local_state& part) { part.front->reopen(); });
    visiting_.unlock();
    growing_.unlock();
}

// An owner that was still inside is gone with its local half changed: its part is left alone for good, closed.
void pool::after_fork_in_child() noexcept {
    unlock_mechanisms();
    const local_state* mine = this_thread->usable ? by_slot_.get(this_thread->index) : nullptr;
    for (std::uint32_t slot = 0; slot < thread_slots::count(); ++slot) {
        local_state* part = by_slot_.get(slot);
        if (!part) continue;
        if (part != mine && (!handshake_ || part->occupied())) {
            by_slot_.set(slot, nullptr, records_);
            thread_slots::close(slot, index_);
            continue;
        }
        if (part != mine) unload_to_chain(*part);
        part->front->reopen();
    }
    visiting_.unlock();
    growing_.unlock();
}

// Stops all locals and waits until their owners are outside; not for ever, since one may have been stopped by a debugger.
// An owner inside takes locks of single mechanisms, so this comes before lock_mechanisms().
void pool::stop_all() noexcept {
    if (!handshake_) return;
    for_parts([](local_state& part) { part.front->stop(); });
    handshake::barrier();
    unsigned round = 0;
    for_parts([&](local_state& part) {
        if (this_thread->usable && by_slot_.get(this_thread->index) == &part) return;
        for (; part.occupied() && round < fork_wait_rounds; ++round)
            round < visitor_naps_from ? wait_politely(round) : nap();
    });
}

void pool::lock_mechanisms() noexcept {
    outgoing_.before_fork();
    if (depots_.load(std::memory_order_relaxed))  // relaxed: written under growing_
        for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) depot_of(c).stock.before_fork();
    large_.before_fork();
    ledger_.before_fork();
    source_.before_fork();
    records_.before_fork();  // last: the others allocate under their locks
}

void pool::unlock_mechanisms() noexcept {
    records_.after_fork();
    source_.after_fork();
    ledger_.after_fork();
    large_.after_fork();
    if (depots_.load(std::memory_order_relaxed))
        for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) depot_of(c).stock.after_fork();
    outgoing_.after_fork();
}

// ---- counted and given back ----------------------------------------------------------------------------------------

// Under visiting_. Bytes that are cached; blocks by class and hits not yet folded are added to what is handed in.
std::uint64_t pool::count_cached(std::uint64_t* blocks_by_class, std::uint64_t& private_hits) noexcept {
    visit_all([&](local_state& part) {
        for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
            const magazine* spare = part.rack_of(c).spare;
            blocks_by_class[c] += part.loaded(c)->count() + (spare ? spare->count() : 0);
            private_hits += part.loaded(c)->hits();
        }
    });
    std::uint64_t bytes = 0;
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        for_parts([&](local_state& part) {
            const rack& r = part.rack_of(c);
            blocks_by_class[c] += r.chained_blocks.get() - r.stolen_blocks.load(std::memory_order_relaxed);
        });
        blocks_by_class[c] += depot_of(c).outgoing.load(std::memory_order_relaxed);
        bytes += blocks_by_class[c] * depot_of(c).block_bytes;
    }
    return bytes;
}

// For the program, which wants to see the memory gone.
std::size_t pool::trim_and_purge(std::size_t keep_bytes) noexcept {
    const std::size_t bytes = trim(keep_bytes);
    if (bytes > 0) {
        purge_owed_.store(false, std::memory_order_relaxed);
        below_.purge();
    }
    return bytes;
}

// Oldest first: victims, then chains, then the threads' own magazines.
std::size_t pool::trim(std::size_t keep_bytes) noexcept {
    if (!depots_.load(std::memory_order_acquire)) return 0;  // partner: set_up()
    std::uint64_t kept;
    {
        std::scoped_lock hold(visiting_);
        std::array<std::uint64_t, size_class_count> blocks{};
        std::uint64_t hits = 0;
        std::uint64_t cached = count_cached(blocks.data(), hits);
        const auto down = [&](magazine* m) {
            const std::uint64_t bytes = m->count() * depot_of(m->size_class()).block_bytes;
            cached -= std::min(bytes, cached);
            send_down(m);
        };
        const auto drain = [&](chain<magazine>& (rack::*generation)() noexcept) {
            for_parts([&](local_state& part) {
                for (std::uint32_t c = 0; c < plan_.sizes.count; ++c)
                    while (cached > keep_bytes) {
                        chain<magazine>& from = (part.rack_of(c).*generation)();
                        magazine* m = part.stolen(from.pop_tail(), depot_of(c).block_bytes);
                        if (!m) break;
                        down(m);
                    }
            });
        };
        drain(&rack::victim);
        drain(&rack::young_chain);
        visit_all([&](local_state& part) {
            for (std::uint32_t c = 0; c < plan_.sizes.count && cached > keep_bytes; ++c)
                unload(part, c, down, [&](magazine* m) { depot_of(c).stock.put(m); });
        });
        kept = cached;
    }
    const std::size_t idle = source_.shrink(keep_bytes - std::min(keep_bytes, kept));
    const std::size_t blocks = drain_outgoing(everything);
    source_.give_due(everything);  // the spans of those blocks
    return idle + blocks;
}

void pool::release() noexcept {
    large_.release_all();
    if (!depots_.load(std::memory_order_acquire)) return;  // partner: set_up()
    {
        std::scoped_lock hold(visiting_);
        for_parts([&](local_state& part) {
            for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
                for (chain<magazine>& each : part.rack_of(c).chains)
                    while (magazine* m = part.taken(each.pop_tail(), depot_of(c).block_bytes)) send_down(m);
                unload(part, c, [&](magazine* m) { send_down(m); }, [&](magazine* m) { depot_of(c).stock.put(m); });
            }
        });
    }
    if constexpr (poisoning) drain_outgoing(everything);  // or idle blocks would go back poisoned
    if (!source_.release_all()) {
        drain_outgoing(everything);
        give_due(everything);
        return;
    }
    outgoing_blocks_.store(0, std::memory_order_relaxed);
    while (magazine* m = outgoing_.pop()) {
        m->set_count(0);
        depot_of(m->size_class()).stock.put(m);
    }
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        depot& d = depot_of(c);
        d.outgoing.store(0, std::memory_order_relaxed);
        d.returned.store(d.given.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    held_bytes_.store(0, std::memory_order_relaxed);
    ledger_.forget_all();
}

// ---- stats ---------------------------------------------------------------------------------------------------------

stats pool::snapshot() noexcept {
    stats now;
    now.large_blocks = large_.blocks();
    now.large_bytes = large_.bytes();
    now.upstream_bytes = below_.held();
    now.upstream_bytes_peak = below_.peak();
    now.bytes_idle = source_.idle_bytes();
    now.ticks = epoch_.load(std::memory_order_relaxed);
    now.bypasses = bypasses_.load(std::memory_order_relaxed);
    if (!depots_.load(std::memory_order_acquire)) return now;  // partner: set_up()
    std::scoped_lock hold(visiting_);
    std::array<std::uint64_t, size_class_count> cached{};
    now.bytes_cached = count_cached(cached.data(), now.hits_private);
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        const depot& d = depot_of(c);
        const std::uint64_t given = d.given.load(std::memory_order_relaxed);
        const std::uint64_t returned = d.returned.load(std::memory_order_relaxed);
        const std::uint64_t out = returned + cached[c];
        const std::uint64_t in_use = given > out ? given - out : 0;
        now.refilled_blocks += given;
        now.blocks_cached += cached[c];
        now.blocks_in_use += in_use;
        now.bytes_in_use += in_use * d.block_bytes;
        now.blocks_returned += returned;
        now.bytes_returned += returned * d.block_bytes;
        for_parts([&](local_state& part) {
            const rack& r = part.rack_of(c);
            now.hits_private += r.hits_private.get();
            now.hits_chain += r.hits_chain.get();
            now.hits_steal += r.hits_steal.get();
            now.hits_victim += r.hits_victim.get();
            now.misses += r.misses.get();
            now.refills += r.refills.get();
            now.spills += r.spills.get();
            now.spilled_blocks += r.spilled_blocks.get();
        });
    }
    note_peak(cached_bytes_peak_, now.bytes_cached);
    now.bytes_cached_peak = cached_bytes_peak_.load(std::memory_order_relaxed);
    now.bytes_held_peak = held_bytes_peak_.load(std::memory_order_relaxed);
    now.locals = parts_.load(std::memory_order_relaxed);
    return now;
}

// ---- what the faces call -------------------------------------------------------------------------------------------

void* allocate_slow(pool& from, std::uint32_t size_class) noexcept { return from.allocate(size_class); }
void deallocate_slow(pool& to, std::uint32_t size_class, void* block) noexcept { to.deallocate(size_class, block); }

}  // namespace tidepool::inline TIDEPOOL_ABI::detail

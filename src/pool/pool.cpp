// The way of a block to the program and back, stage by stage.
#include "pool/pool.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/chaos.hpp"
#include "base/clock.hpp"
#include "base/fatal.hpp"
#include "base/lock_guard.hpp"
#include "base/poison.hpp"
#include "base/process_random.hpp"
#include "base/splitmix.hpp"
#include "clock/heartbeat.hpp"

#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

// Own magazines first, then what costs an atomic operation, then what other threads have, then what is about to decay.
// Stealing comes before the victim, as in Go: what is old shall leave if it can.
void* take(bin& own, roster& everyone, bool quarantine) noexcept {
    if (!chance(8)) {
        if (void* block = own.take_private()) return block;
        if (void* block = quarantine ? own.take_rested() : own.take_chain()) return block;
    }
    if (magazine* m = quarantine ? nullptr : everyone.steal(own, generation::young)) {
        own.counted().hits_steal.add(1);
        return own.take_from(m);
    }
    if (magazine* m = everyone.steal(own, generation::old)) {
        own.counted().hits_victim.add(1);
        return own.take_from(m);
    }
    return nullptr;
}

// So that nobody can tell from one block's address where the next one will lie.
void shuffle(void** blocks, std::size_t count, std::uint64_t salt) noexcept {
    std::uint64_t state = process_random(1) ^ splitmix_mix(salt);
    for (std::size_t left = count; left > 1; --left)
        std::swap(blocks[left - 1], blocks[(splitmix64(state) >> 32) * left >> 32]);
}

constexpr std::uint32_t shortened_each = 16;                       // exchanges
constexpr std::size_t called_in_at_once = std::size_t{256} << 10;  // bytes

// An interval of less than eight milliseconds wants looks as often as they may come; none wants none.
look_pace::time looks_apart(std::chrono::nanoseconds decay_interval) noexcept {
    if (decay_interval == decay_interval.zero()) return look_pace::time::zero();
    const auto apart = std::chrono::duration_cast<look_pace::time>(decay_interval / look_pace::looks_per_interval);
    return std::max(apart, look_pace::time(1));
}

look_pace::time now_for_looks() noexcept { return std::chrono::duration_cast<look_pace::time>(coarse_now()); }

// A heartbeat that came out of our own call to the upstream has waited for this.
void look_if_heard() noexcept {
    if (heard_heartbeat()) registry::tick_due(coarse_now());
}

}  // namespace

pool::pool(const pool_plan& plan, const tidepool::upstream& from) noexcept
    : plan_(plan),
      shared_(plan.sizes, plan.limits, looks_apart(plan.decay_interval)),
      supply_(plan_, from, shared_),
      large_(supply_.upstream),
      roster_(shared_, index),
      upkeep_(shared_, supply_, roster_.visiting, plan.decay_interval),
      deadline_(plan.decay_interval, coarse_now()),
      rotation_(roster_, plan.decay_interval, coarse_now()),
      class_count(plan.sizes.count),
      index(registry::join(*this, plan.index_wanted)) {}

pool::~pool() {
    registry::leave(*this, index);
    release();
}

// What only a pool in use needs. False when there is no memory for it.
bool pool::set_up() noexcept {
    if (shared_.ready()) return true;
    const lock_guard hold(roster_.growing);
    return shared_.ready() || (supply_.blocks.set_up() && shared_.set_up(roster::owners_unreachable()));
}

// The calling thread inside its local, which is not older than the last tick.
pin pool::enter() noexcept {
    if (!shared_.ready() && !set_up()) return pin();
    const std::uint64_t now = rotation_.ticks();
    pin mine = roster_.enter(now);
    if (mine) mine.catch_up(now);
    return mine;
}

// ---- to the program ------------------------------------------------------------------------------------------------

void* pool::allocate(std::uint32_t size_class) noexcept {
    void* block = nullptr;
    magazine* empty = nullptr;
    std::uint32_t wanted = 0, exchanges = 0;
    bool look = false;
    {
        pin mine = enter();
        if (mine) {
            bin own = mine.of(size_class);
            if ((look = own.look_is_due())) own.look(now_for_looks());
            block = take(own, roster_, hardened && shared_.limits.quarantine);
            if (!block) {
                own.counted().misses.add(1);
                if (supply_.makes_blocks) {
                    wanted = own.next_refill();
                    empty = own.detach_empty();
                }
            }
            exchanges = mine.count_exchange();
        }
    }  // unpinned: the source may be called
    if (!block && supply_.makes_blocks && set_up()) {
        block = empty ? refill(empty, wanted) : supply_.get_past_cache(size_class);
        if (!block && trim(0) > 0) block = supply_.get_past_cache(size_class);  // all that was idle is with the source
    }
    if (exchanges != 0) upkeep_.after_exchange(exchanges, look);
    if constexpr (always_slow)
        if (block) {
            unpoison(block, shared_.sizes[size_class]);
            if (hardened && !plan_.watches_contents) supply_.watched.out(block, size_class);
        }
    return block;
}

// New: fills the magazine in one batch and takes the first block. Before memory grows further than it ever did, what
// the depot has lent goes back to the source. Null where the source has nothing.
void* pool::refill(magazine* m, std::uint32_t wanted) noexcept {
    const std::uint32_t size_class = m->size_class();
    const bool lent = shared_.lent() != 0;
    std::size_t got = supply_.get(size_class, m->blocks(), wanted, lent ? growth::to_peak : growth::beyond_peak);
    if (got == 0 && lent) {
        roster_.call_in(called_in_at_once, [this](magazine* each) { supply_.put(each); });
        got = supply_.get(size_class, m->blocks(), wanted);
    }
    if (got == 0) {
        shared_.put_empty(m);
        return nullptr;
    }
    m->set_count(got);
    if (hardened && shared_.limits.quarantine) shuffle(m->blocks(), got, supply_.given(size_class));
    void* block = m->pop();
    if (!roster_.install(m, [](bin_counters& counted) { counted.refills.add(1); })) supply_.put(m);
    return block;
}

// ---- from the program ----------------------------------------------------------------------------------------------

void pool::deallocate(void* block, std::uint32_t size_class) noexcept {
    if (hardened && !plan_.watches_contents) supply_.watched.in(block, size_class);
    poison(block, shared_.sizes[size_class]);
    magazine* full = nullptr;
    bool done = false;
    std::uint32_t exchanges = 0;
    if (!chance(4)) {
        pin mine = enter();
        if (mine) {
            bin own = mine.of(size_class);
            if (!hardened && own.holds_lately(block))
                fatal("double free of %p: size class %u (%zu B)", block, size_class, shared_.sizes[size_class]);
            done = own.give_private(block) || own.give_chain(block, supply_.depot_bytes_max());
            own.shorten_look();
            if (!done) full = own.detach_full();
            exchanges = mine.count_exchange();
            if (exchanges % shortened_each == 0) own.shorten_looks(now_for_looks());
        }
    }  // unpinned: the source may be called
    if (full)
        spill(full, block);
    else if (!done)
        supply_.put_past_cache(size_class, block);
    if (exchanges != 0) upkeep_.after_exchange(exchanges);
}

// Hands a full magazine down and loads it again, empty but for the one block; or makes room for the block so.
void pool::spill(magazine* full, void* block) noexcept {
    if (hardened && shared_.limits.quarantine) {
        const std::uint32_t size_class = full->size_class();
        supply_.put(full);
        bool done = false;
        if (pin mine = enter()) {
            bin own = mine.of(size_class);
            done = own.give_private(block) || own.give_chain(block, supply_.depot_bytes_max());
            own.counted().spills.add(1);
        }
        if (!done) supply_.put_past_cache(size_class, block);
        return;
    }
    supply_.put(full->size_class(), full->blocks(), full->count());
    full->set_count(0);
    full->push(block);
    if (!roster_.install(full, [](bin_counters& counted) { counted.spills.add(1); })) supply_.put(full);
}

// ---- large requests ------------------------------------------------------------------------------------------------

void* pool::allocate_large(std::size_t bytes, std::size_t alignment) noexcept {
    void* p = large_.allocate(bytes, alignment);
    if (!p && trim(0) > 0) p = large_.allocate(bytes, alignment);  // as refill()
    look_if_heard();
    return p;
}

void pool::deallocate_large(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    large_.deallocate(p, bytes, alignment);
    look_if_heard();
}

// ---- what the faces call -------------------------------------------------------------------------------------------

void* allocate_slow(pool& from, std::uint32_t size_class) noexcept { return from.allocate(size_class); }
void deallocate_slow(pool& to, void* block, std::uint32_t size_class) noexcept { to.deallocate(block, size_class); }
void* allocate_large(pool& engine, std::size_t bytes, std::size_t alignment) noexcept {
    return engine.allocate_large(bytes, alignment);
}
void deallocate_large(pool& engine, void* p, std::size_t bytes, std::size_t alignment) noexcept {
    engine.deallocate_large(p, bytes, alignment);
}
void note_created(pool& engine, void* object) noexcept { engine.supply_.created(object); }
void note_destroyed(pool& engine, void* object) noexcept { engine.supply_.destroyed(object); }

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

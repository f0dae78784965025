// The engine's upkeep: handing down, ticks, and what the program asks of all parts at once.
#include "pool/pool.hpp"

#include <algorithm>
#include <array>

#include "base/asymmetric_fence.hpp"
#include "base/clock.hpp"
#include "cache/victim.hpp"
#include "clock/heartbeat.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::uint32_t exchanges_per_look = 16;  // magazine exchanges of a thread between two looks at the clock
constexpr std::size_t slices = 64;                // an exchange hands down this part of what a tick has left,
constexpr std::size_t slice_blocks = 256;         // ... and this many blocks
constexpr std::size_t slice_spans = 2;            // ... and spans where they were few
constexpr std::size_t everything = static_cast<std::size_t>(-1);
constexpr std::uint32_t visited_at_once = 64;  // locals that share one membarrier and are stopped together
constexpr unsigned visitor_wait_rounds =
    160;  // how long a visitor waits for an owner: 32 naps at most, on loaded machines

}  // namespace

// ---- handing down --------------------------------------------------------------------------------------------------

// By an owner inside or a visitor, where the source may not be called: the magazine waits for the next who is outside.
void pool::enqueue(magazine* m) noexcept {
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
void pool::spill_some() noexcept {
    if (const std::uint64_t waiting = outgoing_blocks_.load(std::memory_order_relaxed)) [[unlikely]]
        drain_outgoing(std::max<std::size_t>(slice_blocks, waiting / slices));
    if (const std::size_t due = source_.expired()) [[unlikely]]
        return_expired(std::max(slice_spans, due / slices));
}

void pool::return_expired(std::size_t spans_max) noexcept {
    if (source_.return_expired(spans_max) > 0) purge_owed_.store(true, std::memory_order_relaxed);
}

// What decays shall really leave: when all that a tick has left is on its way, the upstream is asked for its own purge,
// once for each tick. What another thread is just handing down may miss it, and is taken by the next one.
void pool::purge_when_done() noexcept {
    if (!leaving_.load(std::memory_order_relaxed)) return;
    if (outgoing_blocks_.load(std::memory_order_relaxed) != 0 || source_.expired() != 0) return;
    leaving_.store(false, std::memory_order_relaxed);
    if (!purge_owed_.exchange(false, std::memory_order_relaxed)) return;
    release_magazines();
    upstream_.purge();
}

// The empties of all classes at once, because a slab has magazines of several. Who wants one meanwhile makes a new one.
void pool::release_magazines() noexcept {
    const lock_guard hold(visiting_);
    magazine_list idle;
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c)
        for (magazine *m = depot_of(c).stock.take_all(), *next; m; m = next) {
            next = m->next;
            idle.push(m);
        }
    magazines_.release(idle.take_all(), [&](magazine* m) { depot_of(m->size_class()).stock.put(m); });
}

// ---- decay ---------------------------------------------------------------------------------------------------------

// A heartbeat that came out of our own call has waited for this.
void pool::after_upstream_call() noexcept {
    if (heard_heartbeat()) registry::tick_due(coarse_now());
}

// A thread's share of the pool's upkeep, once an exchange: a slice of what a tick has left, and now and then a look at
// the clock; each time while several pools are due, because one look ticks one of them.
void pool::after_exchange(local& mine) noexcept {
    spill_some();
    if (++mine.exchanges % exchanges_per_look == 0 || registry::tick_unfinished())
        registry::tick_due(coarse_now());
    else
        after_upstream_call();
}

// Owner. Makes up for the ticks since the part was rotated last: one as a rule, more where the visitor found the owner
// inside. Two empty the part, so more are not needed. Relaxed: an epoch that is just changing is seen at the next
// exchange.
void pool::rotate_if_behind(local& part) noexcept {
    const std::uint64_t now = epoch_.load(std::memory_order_relaxed);
    const std::uint64_t behind = now - part.epoch.load(std::memory_order_relaxed);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(behind, 2); ++i)
        for (std::uint32_t c = 0; c < part.classes; ++c) rotate(part, c);
    part.epoch.store(now, std::memory_order_relaxed);
}

// Owner.
void pool::rotate(local& part, std::uint32_t size_class) noexcept {
    cache_bin& r = part.cache_bin_of(size_class);
    if (!is_real(part.loaded(size_class)) && !r.spare && r.young_chain().empty() && r.victim().empty()) return;
    depot& d = depot_of(size_class);
    const bool some = detail::rotate(
        part, size_class, d.block_bytes, records_, d.chain_max, [&](magazine* m) { enqueue(m); },
        [&](magazine* m) { d.stock.put(m); });
    if (some) d.old.raise(part.number);
}

// Calls look(part) for each part with its owner kept out, under visiting_. An owner that does not come out in a bounded
// time is passed over. Groups share one membarrier, so the cost of a visit is one for each 64 threads, and nobody is
// kept waiting for longer than a group takes.
template <class Look>
void pool::visit_all(Look look) noexcept {
    if (!fence_available_) return;
    const std::uint32_t parts = parts_.load(std::memory_order_acquire);  // partner: add_part()
    std::array<local*, visited_at_once> inside;
    for (std::uint32_t first = 0; first < parts; first += visited_at_once) {
        const std::uint32_t last = std::min(first + visited_at_once, parts);
        for (std::uint32_t n = first; n < last; ++n) by_number_.get(n)->front->stop();
        asymmetric_fence::heavy();
        std::size_t waiting = 0;
        for (std::uint32_t n = first; n < last; ++n) {
            local* part = by_number_.get(n);
            if (part->occupied()) {
                inside[waiting++] = part;
                continue;
            }
            look(*part);
            part->front->reopen();
        }
        unsigned round = 0;
        for (std::size_t i = 0; i < waiting; ++i) {
            local& part = *inside[i];
            for (; part.occupied() && round < visitor_wait_rounds; ++round) wait_long(round);
            if (!part.occupied()) look(part);
            part.front->reopen();
        }
    }
}

// Under visiting_.
void pool::perform_tick() noexcept {
    const std::uint64_t now = epoch_.load(std::memory_order_relaxed) + 1;
    epoch_.store(now, std::memory_order_relaxed);
    if (fence_available_) {
        visit_all([&](local& part) { rotate_if_behind(part); });
    } else {
        // Owners rotate themselves. Chains of an owner that has not come by for two ticks hold nothing younger than
        // that: it would have rotated before it put anything there. They are drained as a thief drains them.
        for_parts([&](local& part) {
            if (now - part.epoch.load(std::memory_order_relaxed) < 2) return;
            for (std::uint32_t c = 0; c < plan_.sizes.count; ++c)
                for (chain<magazine>& each : part.cache_bin_of(c).chains)
                    while (magazine* m = part.stolen(each.pop_tail(), depot_of(c).block_bytes)) enqueue(m);
        });
    }
    std::uint64_t cached = 0;
    for_parts([&](local& part) { cached += part.bytes_chained(); });
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c)
        cached += depot_of(c).outgoing.load(std::memory_order_relaxed) * depot_of(c).block_bytes;
    cached_bytes_peak_.note(cached);
}

// A whole tick, but for handing down.
void pool::age() noexcept {
    finish_tick();
    source_.age();
    {
        const lock_guard hold(visiting_);
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
    return_expired(everything);
    purge_when_done();
}

// By a thread that came for a block, of this pool or of another one, or by a heartbeat: it hands down a slice, and
// later looks at the clock the rest. What they leave is handed down before the next tick begins, so nothing is older
// than two ticks. Of several threads that come at once, one performs it.
bool pool::tick_if_due(std::chrono::nanoseconds now) noexcept {
    const bool mine = deadline_.claim(now);
    if (!depots_.load(std::memory_order_acquire)) return false;  // partner: set_up()
    if (!mine && !leaving_.load(std::memory_order_relaxed)) return false;
    if (mine) age();
    spill_some();
    purge_when_done();
    return true;
}

std::chrono::nanoseconds pool::due() const noexcept {
    return leaving_.load(std::memory_order_relaxed) ? std::chrono::nanoseconds::min() : deadline_.due();
}

// Objects end by the program's own code, which cannot be run in the midst of anybody's allocation.
bool pool::heartbeat_safe() const noexcept {
    return !std::holds_alternative<objects>(any_source_) && upstream_.heartbeat_safe();
}

// The purge is left to the next tick: memory that is wanted at once need not leave the process.
void pool::reclaim(const void* allocator, reclaim_depth how) noexcept {
    if (!upstream_.draws_from(allocator) || !depots_.load(std::memory_order_acquire)) return;  // partner: set_up()
    if (how == reclaim_depth::trim) {
        trim(0);
        return;
    }
    age();
    drain_outgoing(everything);
    return_expired(everything);
    leaving_.store(false, std::memory_order_relaxed);
}

// Under the registry's lock. The exiting owner hands its own magazines to its chain, where all can take them at once,
// and where they age on as if it lived.
void pool::thread_exits(thread_slot& slot) noexcept {
    local* part = by_slot_.get(slot.index);
    if (!part) return;
    const lock_guard hold(visiting_);  // instead of the door: no visitor is inside, and the owner is here
    empty_private_to_chain(*part);
}

// Owner.
void pool::empty_private_to_chain(local& part) noexcept {
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        if (!is_real(part.loaded(c)) && !part.cache_bin_of(c).spare) continue;
        depot& d = depot_of(c);
        empty_private(
            part, c,
            [&](magazine* m) {
                if (part.push(m, d.block_bytes, records_, d.chain_max))
                    d.young.raise(part.number);
                else
                    enqueue(m);
            },
            [&](magazine* m) { d.stock.put(m); });
    }
}

// ---- counted and given back ----------------------------------------------------------------------------------------

// Under visiting_. Bytes that are cached; blocks by class and hits not yet folded are added to what is handed in.
std::uint64_t pool::count_cached(std::uint64_t* blocks_by_class, std::uint64_t& private_hits) noexcept {
    visit_all([&](local& part) {
        for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
            const magazine* spare = part.cache_bin_of(c).spare;
            blocks_by_class[c] += part.loaded(c)->count() + (spare ? spare->count() : 0);
            private_hits += part.loaded(c)->hits();
        }
    });
    std::uint64_t bytes = 0;
    for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
        for_parts([&](local& part) {
            const cache_bin& r = part.cache_bin_of(c);
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
        release_magazines();
        upstream_.purge();
    }
    return bytes;
}

// Oldest first: victims, then chains, then the threads' own magazines.
std::size_t pool::trim(std::size_t keep_bytes) noexcept {
    if (!depots_.load(std::memory_order_acquire)) return 0;  // partner: set_up()
    std::uint64_t kept;
    {
        const lock_guard hold(visiting_);
        std::array<std::uint64_t, size_class_count> blocks{};
        std::uint64_t hits = 0;
        std::uint64_t cached = count_cached(blocks.data(), hits);
        const auto down = [&](magazine* m) {
            const std::uint64_t bytes = m->count() * depot_of(m->size_class()).block_bytes;
            cached -= std::min(bytes, cached);
            enqueue(m);
        };
        const auto drain = [&](chain<magazine>& (cache_bin::*generation)() noexcept) {
            for_parts([&](local& part) {
                for (std::uint32_t c = 0; c < plan_.sizes.count; ++c)
                    while (cached > keep_bytes) {
                        chain<magazine>& from = (part.cache_bin_of(c).*generation)();
                        magazine* m = part.stolen(from.pop_tail(), depot_of(c).block_bytes);
                        if (!m) break;
                        down(m);
                    }
            });
        };
        drain(&cache_bin::victim);
        drain(&cache_bin::young_chain);
        visit_all([&](local& part) {
            for (std::uint32_t c = 0; c < plan_.sizes.count && cached > keep_bytes; ++c)
                empty_private(part, c, down, [&](magazine* m) { depot_of(c).stock.put(m); });
        });
        kept = cached;
    }
    const std::size_t idle = source_.shrink(keep_bytes - std::min(keep_bytes, kept));
    const std::size_t blocks = drain_outgoing(everything);
    source_.return_expired(everything);  // the spans of those blocks
    return idle + blocks;
}

void pool::release() noexcept {
    large_.release_all();
    if (!depots_.load(std::memory_order_acquire)) return;  // partner: set_up()
    {
        const lock_guard hold(visiting_);
        for_parts([&](local& part) {
            for (std::uint32_t c = 0; c < plan_.sizes.count; ++c) {
                for (chain<magazine>& each : part.cache_bin_of(c).chains)
                    while (magazine* m = part.taken(each.pop_tail(), depot_of(c).block_bytes)) enqueue(m);
                empty_private(
                    part, c, [&](magazine* m) { enqueue(m); }, [&](magazine* m) { depot_of(c).stock.put(m); });
            }
        });
    }
    if constexpr (poisoning) drain_outgoing(everything);  // or idle blocks would go back poisoned
    if (!source_.release_all()) {
        drain_outgoing(everything);
        return_expired(everything);
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
    now.upstream_bytes = upstream_.held();
    now.upstream_bytes_peak = upstream_.peak();
    now.bytes_idle = source_.idle_bytes();
    now.ticks = epoch_.load(std::memory_order_relaxed);
    now.bypasses = bypasses_.load(std::memory_order_relaxed);
    if (!depots_.load(std::memory_order_acquire)) return now;  // partner: set_up()
    const lock_guard hold(visiting_);
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
        for_parts([&](local& part) {
            const cache_bin& r = part.cache_bin_of(c);
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
    cached_bytes_peak_.note(now.bytes_cached);
    now.bytes_cached_peak = cached_bytes_peak_.get();
    now.bytes_held_peak = held_bytes_peak_.get();
    now.locals = parts_.load(std::memory_order_relaxed);
    return now;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

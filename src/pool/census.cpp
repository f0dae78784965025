// What the program asks of all locals at once: how much there is, and to give it back.
#include <algorithm>
#include <array>

#include "base/asymmetric_fence.hpp"
#include "base/fatal.hpp"
#include "base/lock_guard.hpp"
#include "pool/pool.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::size_t book_slots_a_tick = 4096;  // of the books, which a tick checks piece by piece

// What is cached: in private magazines, in chains, and on its way down.
struct census {
    std::array<std::uint64_t, size_class_count> blocks{};
    std::uint64_t bytes = 0;
    std::uint64_t uncounted_hits = 0;

    census(roster& everyone, depots& shared) noexcept TIDEPOOL_REQUIRES(everyone.visiting) {
        everyone.visit([&](pin& theirs) {
            for (std::uint32_t c = 0; c < theirs.classes(); ++c) {
                const bin each = theirs.of(c);
                blocks[c] += each.private_blocks();
                uncounted_hits += each.uncounted_hits();
            }
        });
        for (std::uint32_t c = 0; c < shared.sizes.count; ++c) {
            everyone.for_each([&](local& each) { blocks[c] += each.blocks_chained(c); });
            blocks[c] += shared.leaving.blocks_of(c);
            bytes += blocks[c] * shared.sizes[c];
        }
    }
};

}  // namespace

// Oldest first: victims, then chains, then the threads' own magazines, then what the source has idle.
std::size_t pool::trim(std::size_t keep_bytes, bool then_purge) noexcept {
    if (!shared_.ready()) return 0;
    std::uint64_t cached;
    {
        const lock_guard hold(roster_.visiting);
        cached = census(roster_, shared_).bytes;
        const auto send = [&](std::uint32_t size_class, std::uint64_t blocks) {
            cached -= std::min(blocks * shared_.sizes[size_class], cached);
        };
        for (const generation g : {generation::old, generation::young})
            roster_.for_each([&](local& each) {
                for (std::uint32_t c = 0; c < class_count; ++c)
                    while (cached > keep_bytes) {
                        magazine* m = each.take_tail(c, g);
                        if (!m) break;
                        send(c, m->count());
                        shared_.leaving.send(m);
                    }
            });
        roster_.visit([&](pin& theirs) {
            for (std::uint32_t c = 0; c < theirs.classes() && cached > keep_bytes; ++c) {
                bin each = theirs.of(c);
                send(c, each.private_blocks());
                each.empty_to_outgoing();
            }
            theirs.repay();  // where no tick is ever due, nobody would do it for a thread that sleeps or has exited
        });
    }
    const std::size_t idle = supply_.blocks.shrink(keep_bytes - std::min<std::uint64_t>(keep_bytes, cached));
    const std::size_t gone = idle + upkeep_.hand_down_all();
    if (then_purge) {
        upkeep_.wait_for_others();
        if (gone > 0) upkeep_.purge();
    }
    return gone;
}

// Nobody else uses the pool, but ticks come from threads that never did.
void pool::release() noexcept {
    const registry::no_visits alone(*this);
    large_.release_all();
    if (!shared_.ready()) return;
    {
        const lock_guard hold(roster_.visiting);
        roster_.visit_alone([&](local& each, pin& theirs) {
            roster_.drain(each);
            for (std::uint32_t c = 0; c < theirs.classes(); ++c) theirs.of(c).empty_to_outgoing();
        });
    }
    // Idle blocks of a build that poisons must not go back poisoned.
    if constexpr (poisoning) upkeep_.hand_down_all();
    if (!supply_.blocks.release_all()) {
        upkeep_.hand_down_all();
        return;
    }
    shared_.leaving.receive(outgoing::everything, [&](magazine* m) {
        m->set_count(0);
        shared_.put_empty(m);
    });
    supply_.all_returned();
}

tidepool::stats pool::snapshot() noexcept {
    tidepool::stats now;
    now.large_blocks = large_.blocks();
    now.large_bytes = large_.bytes();
    now.upstream_bytes = supply_.upstream.held();
    now.upstream_bytes_peak = supply_.upstream.peak();
    now.bytes_idle = supply_.blocks.idle_bytes();
    now.ticks = rotation_.ticks();
    now.bypasses = supply_.past_cache();
    if (!shared_.ready()) return now;
    now.membarrier_refused = asymmetric_fence::refused();
    const lock_guard hold(roster_.visiting);
    const census cached(roster_, shared_);
    now.bytes_cached = cached.bytes;
    now.bytes_lent = shared_.lent();
    now.hits_private = cached.uncounted_hits;
    for (std::uint32_t c = 0; c < class_count; ++c) {
        const std::uint64_t bytes = shared_.sizes[c], given = supply_.given(c), returned = supply_.returned(c);
        const std::uint64_t in_use = given - std::min(given, returned + cached.blocks[c]);
        now.refilled_blocks += given;
        now.blocks_cached += cached.blocks[c];
        now.blocks_in_use += in_use;
        now.bytes_in_use += in_use * bytes;
        now.blocks_returned += returned;
        now.bytes_returned += returned * bytes;
        roster_.for_each([&](local& each) {
            const bin_counters& its = each.counted(c);
            now.hits_private += its.hits_private.get();
            now.hits_chain += its.hits_chain.get();
            now.hits_steal += its.hits_steal.get();
            now.hits_victim += its.hits_victim.get();
            now.misses += its.misses.get();
            now.refills += its.refills.get();
            now.spills += its.spills.get();
            now.spilled_blocks += its.spills.get() * shared_[c].stock.capacity();
        });
    }
    cached_bytes_peak_.note(now.bytes_cached);
    now.bytes_cached_peak = cached_bytes_peak_.get();
    now.bytes_held_peak = supply_.held_bytes_peak();
    now.locals = roster_.count();
    return now;
}

void pool::check(others others_do) noexcept {
    const bool still = others_do == others::still;
    const std::size_t book_slots = still ? static_cast<std::size_t>(-1) : book_slots_a_tick;
    deadline_.check();
    rotation_.check();
    large_.check(book_slots);
    if constexpr (hardened) supply_.watched.check(book_slots);
    if (!shared_.ready()) return;
    supply_.blocks.check();
    shared_.check();
    const lock_guard hold(roster_.visiting);
    roster_.visit([&](pin& theirs) { theirs.check(still); });
    if (!still) return;
    const census cached(roster_, shared_);
    for (std::uint32_t c = 0; c < class_count; ++c) {
        const std::uint64_t out = supply_.given(c) - supply_.returned(c),
                            with_program = hardened ? supply_.watched.with_program(c) : 0;
        if (out < cached.blocks[c] ||
            (hardened && supply_.watched.complete() && out != with_program + cached.blocks[c]))
            fatal("size class %u: %llu blocks are out, %llu with the program and %llu in magazines", c,
                  static_cast<unsigned long long>(out), static_cast<unsigned long long>(with_program),
                  static_cast<unsigned long long>(cached.blocks[c]));
    }
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

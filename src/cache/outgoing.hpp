// What is on its way down: magazines that a tick or a trim took out of locals, where the source may not be called, and
// that the source has not got yet. And what the last tick owes beyond them.
//
// Any thread. send() by who is pinned, receive() by who is not.
//
// Invariants:
//  1. blocks_of(c), summed over the classes, is blocks().
//  2. A magazine is counted from before it is in the list until after its blocks are with the source: no sum misses it.
//  Under
//     the lock of a fork, when nobody else is alive, the counts are those of the list (recount()).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/fatal.hpp"
#include "base/forks.hpp"
#include "cache/magazines.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/magazine.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class outgoing {
public:
    static constexpr std::size_t everything = static_cast<std::size_t>(-1);

    // Relaxed throughout: sums, and flags that the next look at them sees.
    std::uint64_t blocks() const noexcept { return blocks_.load(std::memory_order_relaxed); }
    std::uint64_t blocks_of(std::uint32_t size_class) const noexcept {
        return by_class_[size_class].load(std::memory_order_relaxed);
    }

    // Needs: the magazine has blocks, and nobody else has it. O(1).
    void send(magazine* m) noexcept {
        count(m->size_class(), m->count());
        list_.push(m);
    }

    // Calls give(m) for waiting magazines, one at a time, until `blocks_max` blocks are through. give() hands the
    // blocks to the source and the magazine on.
    template <class Give>
    void receive(std::size_t blocks_max, Give give) noexcept {
        for (std::size_t done = 0; done < blocks_max;) {
            magazine* m = list_.pop();
            if (!m) break;
            const std::size_t blocks = m->count();
            const std::uint32_t size_class = m->size_class(), process = fork_count();
            give(m);
            if (process == fork_count()) count(size_class, 0 - blocks);  // else recount() has left it out
            done += blocks;
            purge_owed_.store(true, std::memory_order_relaxed);
        }
    }

    // How much of `waiting` one exchange hands down: a bounded part, and more where there is more, so that all is gone
    // in time.
    static std::size_t slice(std::size_t waiting, std::size_t least) noexcept {
        return waiting == 0 ? 0 : std::max(least, waiting / slices);
    }

    // A tick has left things; what it left is through, or to be forgotten; something went down that the upstream may
    // purge. Both exchanges: of two, the later one acquires what the earlier one released. So who ends a tick and then
    // looks again sees what was sent before any tick that it has ended, too (tests/models/outgoing.pml).
    void begin_tick() noexcept { unfinished_.exchange(true, std::memory_order_acq_rel); }
    void end_tick() noexcept { unfinished_.exchange(false, std::memory_order_acq_rel); }
    bool unfinished() const noexcept { return unfinished_.load(std::memory_order_relaxed); }
    void owe_purge() noexcept { purge_owed_.store(true, std::memory_order_relaxed); }
    // True where the upstream is owed a purge; then no longer.
    bool settle_purge() noexcept { return purge_owed_.exchange(false, std::memory_order_relaxed); }

    // In a forked child, between before_fork() and after_fork(): what another thread was just handing down is counted
    // and in no list, and nobody here will take it off. What this thread is handing down, in code that has forked, is
    // left out likewise.
    void recount() noexcept {
        for (auto& each : by_class_) each.store(0, std::memory_order_relaxed);
        blocks_.store(0, std::memory_order_relaxed);
        list_.for_each([this](const magazine& m) { count(m.size_class(), m.count()); });
    }

    // Ends the program where a waiting magazine is empty, or more wait than are counted: those in the list are counted
    // for as long as its lock is held. Linear in them.
    void check() noexcept {
        std::array<std::uint64_t, size_class_count> waiting{};
        list_.check([&](const magazine& m) {
            if (m.empty()) fatal("an empty magazine of size class %u is on its way down", m.size_class());
            if ((waiting[m.size_class()] += m.count()) > blocks_of(m.size_class()))
                fatal("%llu blocks of size class %u are on their way down and %llu are counted",
                      static_cast<unsigned long long>(waiting[m.size_class()]), m.size_class(),
                      static_cast<unsigned long long>(blocks_of(m.size_class())));
        });
    }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { list_.before_fork(); }
    void after_fork() noexcept { list_.after_fork(); }

private:
    static constexpr std::size_t slices = 64;

    void count(std::uint32_t size_class, std::uint64_t blocks) noexcept {
        by_class_[size_class].fetch_add(blocks, std::memory_order_relaxed);
        blocks_.fetch_add(blocks, std::memory_order_relaxed);
    }

    shared_magazine_list list_{lock_rank::outgoing};
    std::atomic<std::uint64_t> blocks_{0};
    std::array<std::atomic<std::uint64_t>, size_class_count> by_class_{};
    std::atomic<bool> unfinished_{false};  // a tick has left something to hand down, or to purge
    std::atomic<bool> purge_owed_{false};  // something was handed down since the upstream's last purge
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

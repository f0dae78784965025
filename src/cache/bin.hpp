// One thread's bin of one size class, looked up once: what the owner may do there, or a visitor in its place. It exists
// only while the local is pinned (src/cache/pin.hpp). No member calls the source or the upstream; what must go down is
// sent to `leaving` (src/cache/outgoing.hpp).
//
// A tick turns what is young into the victim and sends the former victim down, so stock that nobody takes lives for at
// least one tick and at most two. Taking a magazine back from the victim makes it young again.
//
// Source of the algorithms: Bonwick and Adams' magazine layer (loaded and previous magazine); Go's sync package,
// pool.go (poolCleanup), there per processor under stop-the-world, here per local and size class, with the owner kept
// out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cache/depot.hpp"
#include "cache/local.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/magazine.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class bin {
public:
    std::uint32_t size_class() const noexcept { return size_class_; }
    std::uint32_t local_number() const noexcept { return local_.number; }
    depot& shared() noexcept { return depot_; }
    std::uint32_t exchanges() const noexcept { return local_.exchanges_; }  // of the local
    bin_counters& counted() noexcept { return bin_.counted; }

    // Whether the hits that were granted are used up: then look() is to be called, and the clock to be looked at.
    bool look_is_due() const noexcept { return hot_.hits_left <= 0; }
    void look(look_pace::time now) noexcept;
    // A magazine of freed blocks is exchanged: a look is soon due; in all classes of the local, where that was not so
    // since a look's distance.
    void shorten_look() noexcept;
    void shorten_looks(look_pace::time now) noexcept;

    // ---- to the program. Each returns a block, or null.

    // From the loaded magazine or the spare. O(1).
    void* take_private() noexcept;
    // From the head of the own chain, whose magazine is loaded. O(1).
    void* take_chain() noexcept;
    // With a quarantine: from what has rested longest in the own chain, where the chains are half full. O(1).
    void* take_rested() noexcept;
    // From a magazine that came from elsewhere and has blocks; the rest is loaded. O(1).
    void* take_from(magazine* m) noexcept;

    // ---- from the program

    // Into the loaded magazine or the spare. False when both are full. O(1).
    bool give_private(void* block) noexcept;
    // The own magazines are full: one goes to the chain, and an empty one takes the block. A local that is over its
    // private limit has to do with one here. False when the chains hold all they may, also of what the depot lends, or
    // there is no empty magazine to be had. O(1), or O(classes) over the limit.
    bool give_chain(void* block, std::uint64_t depot_bytes_max) noexcept;

    // Whether the block is among the last few in the own magazines: then it is freed twice. O(1).
    bool holds_lately(const void* block) const noexcept;

    // ---- magazines

    // Makes `m` the loaded magazine. The one before it becomes the spare if it can, so that a program that swings
    // around a boundary finds it; empties beyond that go to the shared stock. O(1).
    void load(magazine* m) noexcept;
    // An empty magazine to fill outside, out of the own hands where there is one. Null when there is no memory for one.
    magazine* detach_empty() noexcept;
    // The spare, with the loaded one in its place; or the loaded one where there is no spare. Null when there is
    // neither.
    magazine* detach_full() noexcept;
    // How many blocks to ask the source for: twice as many with each refill, up to a magazine. A class that is little
    // used holds little.
    std::uint32_t next_refill() noexcept;

    // ---- upkeep

    // Ages the class by a tick. Bounded by its magazines.
    void rotate() noexcept;
    // The private magazines go to the chain, where all can take them; or down.
    void empty_to_chain() noexcept;
    void empty_to_outgoing() noexcept;

    // ---- counted

    std::uint64_t private_blocks() const noexcept {
        return hot_.count() + (bin_.spare ? bin_.spare->count() : 0) + (quarantine() ? given_.count() : 0);
    }
    // Hits since they were counted last.
    std::uint64_t uncounted_hits() const noexcept {
        return static_cast<std::uint64_t>(hot_.hits_granted - std::max(hot_.hits_left, 0));
    }
    // Ends the program where an invariant of local.hpp does not hold; `still`: nobody steals meanwhile, and the books
    // of the chains can be compared. Returns what the private magazines would hold if full.
    std::uint64_t check(bool still) const noexcept;

private:
    friend class pin;

    bin(local& its_local, std::uint32_t size_class) noexcept
        : local_(its_local),
          bin_(its_local.bin_at(size_class)),
          depot_(its_local.shared_[size_class]),
          hot_(its_local.head->own()[size_class + 1]),
          given_(its_local.head->own()[size_class + 1 + (quarantine() ? hot_bins_taken_from : 0)]),
          size_class_(size_class) {}

    depots& all() const noexcept { return local_.shared_; }
    bool quarantine() const noexcept { return hardened && all().limits.quarantine; }
    bool rest_in_chain(void* block, std::uint64_t depot_bytes_max) noexcept;
    magazine* detach_oldest() noexcept;
    bool unused() noexcept;
    bool over_private_limit() noexcept;
    void shed_private() noexcept;
    bool push(magazine* m) noexcept;
    void push_or_send(magazine* m) noexcept;
    magazine* pop(magazine* m) noexcept;
    magazine* take_empty() noexcept;
    void count_hits() noexcept;
    // The loaded magazine, or null; what it holds is in hot_. show() makes one the loaded one, which there is none
    // before; hide() makes it none again.
    magazine* loaded() const noexcept { return loaded_in(hot_); }
    static magazine* loaded_in(const hot_bin& its) noexcept { return its.begin ? magazine::of(its.begin) : nullptr; }
    void show(magazine* m) noexcept { show_in(hot_, m); }
    magazine* hide() noexcept { return hide_in(hot_); }
    static void show_in(hot_bin& its, magazine* m) noexcept;
    static magazine* hide_in(hot_bin& its) noexcept;
    void swap_with_spare() noexcept;
    // A private magazine comes, or goes.
    magazine* account_in(magazine* m) noexcept;
    magazine* account_out(magazine* m) noexcept;
    template <class Keep>
    void empty_private(Keep keep) noexcept;

    local& local_;
    cache_bin& bin_;
    depot& depot_;
    hot_bin& hot_;
    hot_bin& given_;  // where hits put blocks: the same, but with a quarantine
    const std::uint32_t size_class_;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

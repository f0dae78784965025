// The engine: where the mechanisms meet. One pool serves blocks of several size classes from one source.
//
// Who calls it: the faces, through include/tidepool/detail/fast_path.hpp and engine.hpp, and the registry. Any thread
// may call any member at any time, but for release() and the destructor.
//
// Invariants:
//  1. A block is at any moment with the program, in exactly one magazine, or home with the source.
//     given - returned = with the program + in magazines, for each size class, when all is still.
//  2. No lock and no pin is held across a call to the source: a source may take its time, call back, or end threads.
//  3. Until the first use by any thread a pool has mapped nothing and asked its source for nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>

#include "base/arena.hpp"
#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/sleeping_lock.hpp"
#include "base/stable_table.hpp"
#include "cache/hint.hpp"
#include "cache/local.hpp"
#include "cache/magazine_slabs.hpp"
#include "cache/magazines.hpp"
#include "clock/registry.hpp"
#include "clock/tick_deadline.hpp"
#include "source/direct.hpp"
#include "source/large_blocks.hpp"
#include "source/ledger.hpp"
#include "source/objects.hpp"
#include "source/source.hpp"
#include "source/spans.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/stats.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// What all threads share of one size class. Made on first use of the pool.
struct depot {
    // Read by every miss, written on a change only.
    alignas(apart) hint young;
    hint old;
    std::size_t block_bytes = 0;     // fixed
    std::uint32_t chain_max = 0;     // fixed; slots of a chain's largest ring
    std::uint32_t refill_first = 0;  // fixed; blocks of a local's first refill

    // Written once a magazine.
    alignas(apart) magazine_stock stock;
    std::atomic<std::uint64_t> given{0};     // blocks that came from the source; relaxed: sums
    std::atomic<std::uint64_t> returned{0};  // blocks that went back to it
    std::atomic<std::uint64_t> outgoing{0};  // blocks in magazines on their way there
};

// What a pool is made from; values are checked already (src/make_pool.cpp).
struct pool_plan {
    block_sizes sizes;
    std::size_t blocks_per_magazine_max;
    std::size_t magazine_bytes_max;
    std::size_t local_bytes_max;
    std::chrono::nanoseconds decay_interval;
    std::uint32_t index_wanted = no_index;
    std::size_t private_bytes_max = static_cast<std::size_t>(-1);  // of blocks in a local's private magazines
    std::size_t idle_bytes_max = std::size_t{128} << 20;           // of idle spans; none where nothing would age them
    foreign_handler foreign = nullptr;
};

class pool final : public registrant {
public:
    struct from_spans {};
    struct from_direct {};

    pool(const pool_plan& plan, const upstream& from, from_spans) noexcept;
    pool(const pool_plan& plan, const upstream& from, from_direct) noexcept;
    pool(const pool_plan& plan, object_disposer disposer) noexcept;
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    ~pool();

    std::uint32_t index() const noexcept { return index_; }
    std::uint32_t class_count() const noexcept { return plan_.sizes.count; }

    void* allocate(std::uint32_t size_class) noexcept;
    void deallocate(std::uint32_t size_class, void* block) noexcept;
    void* allocate_large(std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate_large(void* p, std::size_t bytes, std::size_t alignment) noexcept;

    std::size_t trim(std::size_t keep_bytes) noexcept;
    std::size_t trim_and_purge(std::size_t keep_bytes) noexcept;
    void release() noexcept;
    tidepool::stats snapshot() noexcept;

    void created(void* object) noexcept;
    void destroyed(void* object) noexcept;

    void tick_now() noexcept override;
    // True where there was something to do.
    bool tick_if_due(std::chrono::nanoseconds now) noexcept override;
    // Hands down all that the last tick has left for others to hand down.
    void finish_tick() noexcept;
    std::chrono::nanoseconds due() const noexcept override;
    bool heartbeat_safe() const noexcept override;
    void reclaim(const void* allocator, reclaim_depth how) noexcept override;
    void thread_exits(thread_slot& slot) noexcept override;
    void before_fork() noexcept override;
    void after_fork_in_parent() noexcept override;
    void after_fork_in_child() noexcept override;

private:
    using any_source = std::variant<spans, direct, objects>;

    template <class Kind, class... Arguments>
    pool(const pool_plan& plan, const upstream& from, std::in_place_type_t<Kind> kind,
         Arguments&&... arguments) noexcept;

    // Stages of the slow path; the calling thread is the owner of `mine`, inside.
    void* take_private(local& mine, std::uint32_t size_class) noexcept;
    void* take_chain(local& mine, std::uint32_t size_class) noexcept;
    void* take_stolen(local& mine, std::uint32_t size_class) noexcept;
    void* take_victim(local& mine, std::uint32_t size_class) noexcept;
    void* take_from(local& mine, magazine* m) noexcept;
    bool give_private(local& mine, std::uint32_t size_class, void* block) noexcept;
    bool give_chain(local& mine, std::uint32_t size_class, void* block) noexcept;
    void load(local& mine, magazine* m) noexcept;
    bool over_private_limit(const local& mine, std::uint32_t size_class) noexcept;
    void shed_private(local& mine, std::uint32_t size_class) noexcept;
    magazine* detach_empty(local& mine, std::uint32_t size_class) noexcept;
    std::uint32_t next_refill(local& mine, std::uint32_t size_class) noexcept;
    magazine* detach_full(local& mine, std::uint32_t size_class) noexcept;
    void rotate_if_behind(local& part) noexcept;
    void rotate(local& part, std::uint32_t size_class) noexcept;

    // Stages outside: they call the source.
    void* allocate_cached(std::uint32_t size_class) noexcept;
    void deallocate_cached(std::uint32_t size_class, void* block) noexcept;
    void* refill(local& mine, magazine* empty, std::uint32_t wanted) noexcept;
    void spill(local& mine, magazine* full, void* block) noexcept;
    void install(local& mine, magazine* m) noexcept;
    void* bypass_allocate(std::uint32_t size_class) noexcept;
    void bypass_deallocate(std::uint32_t size_class, void* block) noexcept;
    void after_exchange(local& mine) noexcept;
    static void after_upstream_call() noexcept;

    // Traffic with the source, with the books kept.
    std::size_t get_blocks(std::uint32_t size_class, void** blocks, std::size_t count) noexcept;
    void return_blocks(std::uint32_t size_class, void** blocks, std::size_t count, bool stale = false) noexcept;
    void enqueue(magazine* m) noexcept;
    std::size_t drain_outgoing(std::size_t blocks_max) noexcept;
    void spill_some() noexcept;
    void return_expired(std::size_t spans_max) noexcept;
    void purge_when_done() noexcept;
    void release_magazines() noexcept;

    // The parts of threads.
    bool set_up() noexcept;
    depot& depot_of(std::uint32_t size_class) noexcept;
    local* my_part() noexcept;
    local* add_part(thread_slot& slot) noexcept;
    static bool enter(local& mine) noexcept;
    static void leave(local& mine) noexcept { mine.its_pin_slot->leave(*mine.front); }

    // Visits, under visiting_.
    template <class Look>
    void visit_all(Look look) noexcept;
    template <class Look>
    void for_parts(Look look) noexcept;
    void perform_tick() noexcept;
    void age() noexcept;
    void empty_private_to_chain(local& part) noexcept;
    void stop_all() noexcept;
    void recount_outgoing() noexcept;
    void lock_mechanisms() noexcept;
    void unlock_mechanisms() noexcept;
    std::uint64_t count_cached(std::uint64_t* blocks_by_class, std::uint64_t& private_hits) noexcept;

    // Fixed at construction.
    const pool_plan plan_;
    const bool fence_available_;

    arena records_;
    magazine_slabs magazines_;
    metered_upstream upstream_;
    any_source any_source_;
    source& source_;
    large_blocks large_;
    ledger ledger_;
    tick_deadline deadline_;

    std::atomic<depot*> depots_{nullptr};             // one a class; written once, under growing_
    sleeping_lock growing_{lock_rank::pool_growing};  // guards set_up() and add_part()
    stable_table<local> by_number_;
    stable_table<local> by_slot_;
    std::atomic<std::uint32_t> parts_{0};  // locals that exist; written under growing_

    sleeping_lock visiting_{lock_rank::pool_visiting};  // one visitor at a time; never held across a call to the source
    std::atomic<std::uint64_t> epoch_{0};               // ticks so far; written under visiting_
    shared_magazine_list outgoing_{lock_rank::outgoing};  // magazines on their way down
    std::atomic<std::uint64_t> outgoing_blocks_{0};       // in them; relaxed: how much there is to do
    std::atomic<bool> leaving_{
        false};  // a tick has left something to hand down, or to purge; relaxed, as the next: a flag
    std::atomic<bool> purge_owed_{false};  // something was handed down since the upstream's last purge

    // Relaxed: sums.
    std::atomic<std::uint64_t> bypasses_{0};
    std::atomic<std::uint64_t> held_bytes_{0};
    peak held_bytes_peak_, cached_bytes_peak_;

    const std::uint32_t index_;  // fixed at construction; last, because the registry wants the pool whole
};

// Relaxed: whoever gets here has come through set_up() or my_part(), which acquire.
inline depot& pool::depot_of(std::uint32_t size_class) noexcept {
    return depots_.load(std::memory_order_relaxed)[size_class];
}

// Calls look(part) for each part there is.
template <class Look>
void pool::for_parts(Look look) noexcept {
    const std::uint32_t parts = parts_.load(std::memory_order_acquire);  // partner: add_part()
    for (std::uint32_t n = 0; n < parts; ++n) look(*by_number_.get(n));
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// What the registry visits: a pool, or whatever else has idle memory that ages.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/linked_list.hpp"
#include "base/test_peer.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// How much idle memory a registrant releases for others: what a tick takes, or all.
enum class reclaim_depth { tick, trim };

class registrant {
public:
    // Ticks where a tick is due, or goes on with one that left something to do. True where it did either.
    virtual bool tick_if_due(std::chrono::nanoseconds now) noexcept = 0;
    virtual void tick_now() noexcept = 0;
    // When tick_if_due() will have something to do; the past while there is.
    virtual std::chrono::nanoseconds due() const noexcept = 0;
    // Whether it may be ticked in the midst of anybody's allocation. Fixed.
    virtual bool heartbeat_safe() const noexcept = 0;
    // Somebody lacks memory that `allocator` could give: returns idle memory to it, where this draws from it.
    virtual void reclaim(const void* allocator, reclaim_depth how) noexcept = 0;
    // The calling thread exits and releases this slot. Called under the registry's lock: must not call an upstream.
    virtual void thread_exits(thread_slot& slot) noexcept = 0;
    // Around a fork, by the forking thread, under the registry's lock: takes every lock there is, and releases it.
    virtual void before_fork() noexcept {}
    virtual void after_fork_in_parent() noexcept {}
    // No other thread exists here. What their locals hold is to be had by all.
    virtual void after_fork_in_child() noexcept {}

protected:
    ~registrant() = default;

private:
    friend struct registry_state;
    friend struct test_peer<registrant>;
    list_links<registrant> links_;  // under the registry's lock
    std::uint64_t id_ = 0;          // fixed by join()
    std::uint32_t visits_ = 0;      // under the registry's lock; visits under way
    bool unvisited_ = false;        // under the registry's lock; passed over by visits
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

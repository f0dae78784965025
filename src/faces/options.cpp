// From a user's options to a pool: what is clamped, what is refused, and in which words.
#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

#include "base/forks.hpp"
#include "base/limits.hpp"
#include "base/made_once.hpp"
#include "base/raise.hpp"
#include "clock/registry.hpp"
#include "pool/pool.hpp"

#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/options.hpp>

#pragma weak dlopen
#pragma weak dladdr

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::size_t magazine_blocks_max = magazine::capacity_max;

[[noreturn]] void refuse(const char* option, const std::string& value, const std::string& allowed) {
    raise(std::invalid_argument(std::string("tidepool: ") + option + " = " + value + ": allowed is " + allowed));
}

void require(const char* option, std::size_t value, std::size_t least, std::size_t most) {
    if (value < least || value > most)
        refuse(option, std::to_string(value), std::to_string(least) + " to " + std::to_string(most));
}

void require_interval(std::chrono::milliseconds interval) {
    if (interval < std::chrono::milliseconds::zero() || interval > limits::decay_interval_max)
        refuse("decay_interval", std::to_string(interval.count()) + " ms",
               "0 to " + std::to_string(limits::decay_interval_max.count()) + " ms");
}

// Checks what block pools have in common, and puts the values in effect in place of hints.
pool_plan plan_for(pool_options& options, block_sizes sizes) {
    if (options.max_blocks_per_chunk == 0) options.max_blocks_per_chunk = magazine_blocks_max;
    options.max_blocks_per_chunk = std::min(options.max_blocks_per_chunk, magazine_blocks_max);
    require("magazine_bytes_max", options.magazine_bytes_max, 1, limits::magazine_bytes_max);
    require_interval(options.decay_interval);
    if (options.source != block_source::spans && options.source != block_source::direct)
        refuse("source", std::to_string(static_cast<int>(options.source)), "spans or direct");
    return {.sizes = sizes,
            .limits = {.blocks_per_magazine_max = options.max_blocks_per_chunk,
                       .magazine_bytes_max = options.magazine_bytes_max,
                       .local_bytes_max = options.local_bytes_max,
                       .depot_bytes_max = options.depot_bytes_max,
                       .private_bytes_max = limits::private_bytes},
            .decay_interval = options.decay_interval,
            .source = options.source == block_source::direct ? source_kind::direct : source_kind::spans};
}

pool_plan plan_for_classes(pool_options& options) {
    std::size_t& largest = options.largest_required_pool_block;
    if (largest == 0) largest = pooled_bytes_max;
    const std::uint32_t last = size_class_computed(std::min(largest, pooled_bytes_max));
    largest = size_class_bytes(last);
    return plan_for(options, {.count = last + 1});
}

// Threads call us when they exit, also after a plug-in that we are in was closed: it stays loaded. Where dlopen() is
// not linked in, as in a static program, nothing is ever closed.
void stay_loaded() noexcept {
    ::Dl_info here{};
    if (::dlopen && ::dladdr && ::dladdr(reinterpret_cast<const void*>(&stay_loaded), &here) != 0)
        static_cast<void>(::dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE));
}

// Once a process. A child whose making of this was cut short may have inherited the handlers: then they have run.
void listen() {
    constexpr auto begin = [] {
        stay_loaded();
        if (fork_count() != 0) return 0;
        return ::pthread_atfork([] { registry::before_fork(); }, registry::after_fork_in_parent,
                                registry::after_fork_in_child);
    };
    if (made_once<begin>() != 0) raise(std::bad_alloc());
}

pool_ptr make(const pool_plan& plan, const upstream& from) {
    listen();
    return pool_ptr(new pool(plan, from));
}

}  // namespace

making_default_pool::making_default_pool() {
    listen();
    registry::lock_making();
}

making_default_pool::~making_default_pool() { registry::unlock_making(); }

void pool_deleter::operator()(pool* engine) const noexcept { delete engine; }

pool_ptr make_pool(pool_options& options, const upstream& from) { return make(plan_for_classes(options), from); }

pool_ptr make_default_pool(pool_options& options, const upstream& from) {
    pool_plan plan = plan_for_classes(options);
    plan.index_wanted = default_index;
    return make(plan, from);
}

pool_ptr make_block_pool(std::size_t& block_bytes, std::size_t alignment, pool_options& options, const upstream& from) {
    require("block_bytes", block_bytes, 1, limits::block_bytes_max);
    if (!std::has_single_bit(alignment) || alignment > pooled_alignment_max)
        refuse("alignment", std::to_string(alignment), "a power of two, 1 to " + std::to_string(pooled_alignment_max));
    const std::size_t step = std::max(alignment, granule);
    block_bytes = (block_bytes + step - 1) & ~(step - 1);
    if (options.source == block_source::direct) {
        // What the upstream would give in any case, where it tells.
        const std::size_t usable = from.good_size(block_bytes) & ~(step - 1);
        if (usable > block_bytes && usable <= limits::block_bytes_max) block_bytes = usable;
    }
    options.largest_required_pool_block = block_bytes;
    return make(plan_for(options, {.count = 1, .only = block_bytes}), from);
}

pool_ptr make_object_pool(std::size_t object_bytes, object_pool_options& options, object_disposer disposer) {
    require("magazine_capacity", options.magazine_capacity, 0, magazine_blocks_max);
    if (options.magazine_capacity == 0)
        options.magazine_capacity =
            std::clamp<std::size_t>(limits::object_magazine_bytes / object_bytes, 1, limits::object_magazine_objects);
    require_interval(options.decay_interval);
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    const bool unbounded = options.local_objects_max > most / object_bytes;
    const pool_plan plan{.sizes = {.count = 1, .only = object_bytes},
                         .limits = {.blocks_per_magazine_max = options.magazine_capacity,
                                    .magazine_bytes_max = options.magazine_capacity * object_bytes,
                                    .local_bytes_max = unbounded ? most : options.local_objects_max * object_bytes},
                         .decay_interval = options.decay_interval,
                         .source = source_kind::objects,
                         .disposer = disposer};
    return make(plan, libc_upstream());
}

std::uint32_t pool_index(const pool& engine) noexcept { return engine.index; }
std::uint32_t pool_class_count(const pool& engine) noexcept { return engine.class_count; }

void tick(pool& engine) noexcept { engine.tick_now(); }
std::size_t trim(pool& engine, std::size_t keep_bytes) noexcept { return engine.trim(keep_bytes, true); }
tidepool::stats snapshot(pool& engine) noexcept { return engine.snapshot(); }
void release(pool& engine) noexcept { engine.release(); }

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

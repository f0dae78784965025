#include "pool/supply.hpp"

#include <chrono>
#include <memory>
#include <type_traits>

#include "base/assert.hpp"
#include "base/pinned.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

static_assert(std::is_trivially_destructible_v<spans> && std::is_trivially_destructible_v<direct> &&
              std::is_trivially_destructible_v<objects>);

supply::supply(const pool_plan& plan, const tidepool::upstream& from, depots& shared) noexcept
    : sizes_(plan.sizes),
      shared_(shared),
      upstream(from),
      blocks(make_source(plan)),
      makes_blocks(blocks.makes_blocks()),
      watched(plan.sizes, plan.source == source_kind::spans ? &place_.from_spans : nullptr, plan.watches_contents) {}

source& supply::make_source(const pool_plan& plan) noexcept {
    switch (plan.source) {
        case source_kind::direct:
            return *std::construct_at(&place_.from_direct, plan.sizes, upstream);
        case source_kind::objects:
            return *std::construct_at(&place_.from_objects, plan.sizes[0], plan.disposer);
        case source_kind::spans:
            break;
    }
    const bool ages = plan.decay_interval != std::chrono::nanoseconds::zero();
    return *std::construct_at(&place_.from_spans, plan.sizes, upstream, shared_.records, ages ? plan.idle_bytes_max : 0,
                              plan.foreign, plan.watches_contents);
}

std::size_t supply::get(std::uint32_t size_class, void** out, std::size_t count, growth most) noexcept {
    TIDEPOOL_ASSERT(pinned::count() == 0, "the source is asked for blocks of size class %u by a pinned thread",
                    size_class);
    const std::size_t got = blocks.refill(size_class, out, count, most);
    if (got != 0) account_in(size_class, got);
    return got;
}

void* supply::get_past_cache(std::uint32_t size_class) noexcept {
    void* block = nullptr;
    if (get(size_class, &block, 1) == 0) return nullptr;
    past_cache_.fetch_add(1, std::memory_order_relaxed);
    return block;
}

void supply::put(std::uint32_t size_class, void** given_back, std::size_t count, bool stale) noexcept {
    TIDEPOOL_ASSERT(pinned::count() == 0, "the source is given blocks of size class %u by a pinned thread", size_class);
    if (count == 0) return;
    if constexpr (hardened) watched.forget(given_back, count);
    account_out(size_class, count);
    blocks.drain(size_class, given_back, count, stale);
}

void supply::put_past_cache(std::uint32_t size_class, void* block) noexcept {
    past_cache_.fetch_add(1, std::memory_order_relaxed);
    put(size_class, &block, 1);
}

void supply::put(magazine* m, bool stale) noexcept {
    put(m->size_class(), m->blocks(), m->count(), stale);
    m->set_count(0);
    shared_.put_empty(m);
}

void supply::created(void* object) noexcept {
    account_in(0, 1);
    if constexpr (hardened) watched.out(object, 0);
}

void supply::destroyed(void* object) noexcept {
    account_out(0, 1);
    if constexpr (hardened) {
        watched.in(object, 0);
        watched.forget(&object, 1);
    }
}

void supply::all_returned() noexcept {
    for (book& each : books_)
        each.returned.store(each.given.load(std::memory_order_relaxed), std::memory_order_relaxed);
    held_bytes_.store(0, std::memory_order_relaxed);
    if constexpr (hardened) watched.forget_all();
}

void supply::account_in(std::uint32_t size_class, std::size_t count) noexcept {
    books_[size_class].given.fetch_add(count, std::memory_order_relaxed);
    const std::uint64_t bytes = count * sizes_[size_class];
    held_bytes_peak_.note(held_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes);
}

void supply::account_out(std::uint32_t size_class, std::size_t count) noexcept {
    books_[size_class].returned.fetch_add(count, std::memory_order_relaxed);
    held_bytes_.fetch_sub(count * sizes_[size_class], std::memory_order_relaxed);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

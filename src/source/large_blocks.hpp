// Requests that no size class serves: straight to the upstream, with the same size and alignment on both sides, and
// noted so that release() finds those that were never deallocated. All members are thread-safe except release_all().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/address_table.hpp"
#include "base/fatal.hpp"
#include "base/lock_order.hpp"
#include "source/metered_upstream.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class large_blocks {
public:
    explicit large_blocks(metered_upstream& from) noexcept : upstream_(from) {}

    // Null when there is no memory.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        void* p = upstream_.allocate(bytes, alignment);
        if (p && !book_.set(p, {bytes, alignment})) {
            upstream_.deallocate(p, bytes, alignment);
            return nullptr;
        }
        if (p) count(1, bytes);
        return p;
    }

    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        const auto noted = book_.erase(p);
        if (!noted) fatal("foreign pointer %p of %zu bytes freed: this pool never gave it", p, bytes);
        if (noted->bytes != bytes || noted->alignment != alignment)
            fatal("wrong size: %p has %zu bytes aligned to %zu and was freed as %zu aligned to %zu", p, noted->bytes,
                  noted->alignment, bytes, alignment);
        return_block(p, *noted);
    }

    // Needs exclusive access.
    void release_all() noexcept {
        book_.erase_all([&](const void* p, line noted) { return_block(const_cast<void*>(p), noted); });
    }

    // As address_table's.
    void check(std::size_t slots_max) noexcept { book_.check(slots_max); }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { book_.before_fork(); }
    void after_fork() noexcept { book_.after_fork(); }

    // Relaxed throughout: sums.
    std::uint64_t blocks() const noexcept { return blocks_.load(std::memory_order_relaxed); }
    std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

private:
    struct line {
        std::size_t bytes, alignment;
    };

    void return_block(void* p, line noted) noexcept {
        count(std::uint64_t(-1), 0 - noted.bytes);
        upstream_.deallocate(p, noted.bytes, noted.alignment);
    }

    void count(std::uint64_t blocks, std::uint64_t bytes) noexcept {
        blocks_.fetch_add(blocks, std::memory_order_relaxed);
        bytes_.fetch_add(bytes, std::memory_order_relaxed);
    }

    metered_upstream& upstream_;
    address_table<line> book_{lock_rank::large_blocks};
    std::atomic<std::uint64_t> blocks_{0};
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Spans: aligned pieces of upstream memory, each carved into blocks of one size class. A span whose blocks are all free
// waits among the idle ones (idle_spans.hpp) or goes back to the upstream. The blocks themselves are never written to:
// which are free is noted beside them.
//
// All members are thread-safe except set_up(), release_all() and the destructor. Each size class has a lock of its own,
// which is not held across a call to the upstream.
//
// Invariants, for each size class, under its lock:
//  1. A span's bit i is set exactly if its block i is free; `free_blocks` counts the bits. 0 <= free_blocks < blocks: a
//     span that is all free is taken out at once.
//  2. `open` links exactly the spans with free_blocks > 0; `all` links every span, and `spans` counts them.
//  3. Every 64 KiB page of a span, and no other, leads to it in the page map.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/arena.hpp"
#include "base/linked_list.hpp"
#include "base/lock_order.hpp"
#include "base/spin_lock.hpp"
#include "base/thread_safety.hpp"
#include "source/block_line.hpp"
#include "source/idle_spans.hpp"
#include "source/metered_upstream.hpp"
#include "source/page_map.hpp"
#include "source/source.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// How a block size is carved.
struct span_shape {
    std::size_t span_bytes;
    std::uint32_t blocks;

    // At least eight blocks, or four of the largest, and at most 1/32 of the span left over at the end where that can
    // be had within 256 KiB. Spans start at 64 KiB.
    static constexpr span_shape of(std::size_t block_bytes) noexcept {
        std::size_t bytes = page_map::page;
        if (block_bytes > page_map::page / 2) {
            bytes = (block_bytes * 4 + page_map::page - 1) / page_map::page * page_map::page;
        } else {
            while (bytes < page_map::page * 4 && (bytes / block_bytes < 8 || bytes % block_bytes > bytes / 32))
                bytes *= 2;
        }
        return {bytes, static_cast<std::uint32_t>(bytes / block_bytes)};
    }
};

class spans;

// Out of the blocks' way, in the pool's records, and of this type for as long as the pool lives: a span that went back
// is used again for the next one of its class.
struct span {
    spans* owner;              // fixed
    std::uint32_t size_class;  // fixed
    std::uint32_t free_blocks;
    std::byte* base;  // while it stands for memory
    list_links<span> open;
    list_links<span> all;  // or, of a span that is in no list, the next such in `next`

    // Bit i % 64 of word i / 64: block i is free.
    std::uint64_t* bits() noexcept { return reinterpret_cast<std::uint64_t*>(this + 1); }
    // In a hardened build, behind the bits: a line for each block.
    block_line* lines(std::uint32_t blocks) noexcept {
        return reinterpret_cast<block_line*>(bits() + words_for(blocks));
    }
    static constexpr std::uint32_t word_bits = 64;
    static constexpr std::uint32_t words_for(std::uint32_t blocks) noexcept {
        return (blocks + word_bits - 1) / word_bits;
    }
};

// What becomes of a foreign block, which lies in no span of this source: null ends the program with a message.
using foreign_handler = void (*)(void* block) noexcept;

class spans final : public source {
public:
    // The block that an address lies in, of any pool; `begin` is null where it lies in none. A block in use, whose span
    // stays where it is; any other address may be anything. Any thread, without a lock.
    struct location {
        span* in = nullptr;
        std::byte* begin = nullptr;
        std::size_t bytes = 0;
        std::uint32_t number = 0;
        block_line* line = nullptr;  // in a hardened build
    };
    static location locate(const void* p) noexcept;

    spans(block_sizes sizes, metered_upstream& from, arena& records, std::size_t idle_bytes_max = 0,
          foreign_handler foreign = nullptr, bool watches_contents = false) noexcept
        : sizes_(sizes),
          foreign_(foreign),
          watches_contents_(watches_contents),
          upstream_(from),
          records_(records),
          idle_(from, records, idle_bytes_max) {}

    bool set_up() noexcept override;
    std::size_t refill(std::uint32_t size_class, void** blocks, std::size_t count, growth most) noexcept override;
    void drain(std::uint32_t size_class, void** blocks, std::size_t count, bool stale) noexcept override;
    std::size_t idle_bytes() const noexcept override { return idle_.bytes(); }
    void age() noexcept override { idle_.age(); }
    std::size_t expired() const noexcept override { return idle_.expired(); }
    std::size_t return_expired(std::size_t most) noexcept override { return idle_.return_expired(most); }
    std::size_t shrink(std::size_t keep_bytes) noexcept override { return idle_.shrink(keep_bytes); }
    void before_fork() noexcept override;
    void after_fork() noexcept override;
    bool release_all() noexcept override;

    // In a hardened build. Linear in the blocks.
    std::uint64_t with_program(std::uint32_t size_class) noexcept;

    // Linear in the spans.
    void check() noexcept override;

private:
    struct alignas(apart) span_class {
        spin_lock lock{lock_rank::span_class};
        linked_list<span, &span::open> open TIDEPOOL_GUARDED_BY(lock);
        linked_list<span, &span::all> all TIDEPOOL_GUARDED_BY(lock);
        std::atomic<std::size_t> spans{0};                 // in `all`; written under the lock
        span* unused TIDEPOOL_GUARDED_BY(lock) = nullptr;  // records without memory, linked by all.next
        std::size_t block_bytes = 0;                       // fixed
        span_shape shape{};                                // fixed
        std::uint64_t reciprocal = 0;                      // of block_bytes, times 2^32, rounded up; fixed
    };

    void check_span(const span_class& s, span& each, std::uint32_t size_class) noexcept TIDEPOOL_REQUIRES(s.lock);
    std::size_t take(span_class& s, void** blocks, std::size_t count) noexcept TIDEPOOL_REQUIRES(s.lock);
    span* new_span(span_class& s, std::uint32_t size_class, growth most) noexcept;
    static span* take_all(span_class& s) noexcept;
    span* unused_record(span_class& s) noexcept;
    void begin_watch(const span_class& s, span& fresh) const noexcept;
    void retire_record(span_class& s, span* record) noexcept;
    std::size_t mark_free(span_class& s, span& in, std::uint32_t size_class, void** blocks, std::size_t count) noexcept
        TIDEPOOL_REQUIRES(s.lock);
    static bool lies_in(const span_class& s, const span& in, const void* block) noexcept;
    bool is_foreign(const span_class& s, span*& in, std::uint32_t size_class, const void* block) const noexcept;
    std::uint32_t number_of(const span_class& s, const span& in, std::uint32_t size_class,
                            const void* block) const noexcept;
    void handle_foreign(std::uint32_t size_class, void** blocks, std::size_t count) const noexcept;

    const block_sizes sizes_;
    const foreign_handler foreign_;
    const bool watches_contents_;  // whether idle blocks are filled; in a hardened build
    metered_upstream& upstream_;
    arena& records_;
    idle_spans idle_;
    span_class* classes_ = nullptr;  // one a class; fixed by set_up()
};

inline spans::location spans::locate(const void* p) noexcept {
    location found;
    found.in = page_map::find(p);
    if (!found.in) return found;
    const span_class& s = found.in->owner->classes_[found.in->size_class];
    found.bytes = s.block_bytes;
    const auto offset = static_cast<std::uint64_t>(static_cast<const std::byte*>(p) - found.in->base);
    // One too many at most, since the reciprocal is rounded up.
    found.number = static_cast<std::uint32_t>(offset * s.reciprocal >> 32);
    if (found.number * s.block_bytes > offset) --found.number;
    if (found.number >= s.shape.blocks) return found;
    found.begin = found.in->base + found.number * s.block_bytes;
    if constexpr (hardened) found.line = found.in->lines(s.shape.blocks) + found.number;
    return found;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

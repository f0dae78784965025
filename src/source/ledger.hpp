// The hardened build's book of every block: where it is now. Catches a double free, a wrong size and a foreign pointer
// at the call that does it. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/address_table.hpp"
#include "base/fatal.hpp"
#include "base/lock_order.hpp"
#include "source/source.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class ledger {
public:
    explicit ledger(block_sizes sizes) noexcept : sizes_(sizes) {}

    // The program takes a block. One that finds no memory for its line is not watched, and from then on a block without
    // a line is let pass.
    void out(const void* block, std::uint32_t size_class) noexcept {
        // Relaxed: whoever frees the block has it from whoever took it, and so sees what was written before.
        if (!book_.set(block, {size_class, true})) complete_.store(false, std::memory_order_relaxed);
    }

    // The program frees a block. Ends the program where it may not.
    void in(const void* block, std::uint32_t size_class) noexcept {
        book_.update(block, [&](line* found) {
            if (!found && !complete_.load(std::memory_order_relaxed)) return;
            if (!found)
                fatal("foreign pointer %p freed into size class %u (%zu B): this pool never gave it", block, size_class,
                      sizes_[size_class]);
            if (found->size_class != size_class)
                fatal("wrong size: %p belongs to size class %u (%zu B) and was freed into size class %u (%zu B)", block,
                      found->size_class, sizes_[found->size_class], size_class, sizes_[size_class]);
            if (!found->with_program)
                fatal("double free of %p: size class %u (%zu B)", block, size_class, sizes_[size_class]);
            found->with_program = false;
        });
    }

    // Blocks have left the pool.
    void forget(void* const* blocks, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) book_.erase(blocks[i]);
    }
    void forget_all() noexcept {
        book_.erase_all([](const void*, line) {});
    }

    // Blocks of a class that the program has. O(blocks).
    std::uint64_t with_program(std::uint32_t size_class) noexcept {
        std::uint64_t blocks = 0;
        book_.for_each(
            [&](const void*, line found) { blocks += found.with_program && found.size_class == size_class; });
        return blocks;
    }
    // Whether every block that went out has its line.
    bool complete() const noexcept { return complete_.load(std::memory_order_relaxed); }

    // As address_table's.
    void check(std::size_t slots_max) noexcept { book_.check(slots_max); }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { book_.before_fork(); }
    void after_fork() noexcept { book_.after_fork(); }

private:
    struct line {
        std::uint32_t size_class;
        bool with_program;
    };

    const block_sizes sizes_;
    address_table<line> book_{lock_rank::ledger};
    std::atomic<bool> complete_{true};  // written by any thread that takes a block, read by those that free one
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The hardened build's ledger of every block: where it is now. Catches a double free, a wrong size and a foreign
// pointer at the call that does it. Any thread.
//
// A block of a span has its line beside the span; the blocks of other sources have theirs in a book here. Of a pool
// that watches contents, the shim keeps the lines, by block_watch.hpp, and only what goes down is looked at here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/address_table.hpp"
#include "base/block_sizes.hpp"
#include "base/lock_order.hpp"
#include "source/spans.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class ledger {
public:
    // `from`: the source, where it is spans; else null.
    ledger(block_sizes sizes, spans* from, bool watches_contents) noexcept
        : sizes_(sizes), spans_(from), watches_contents_(watches_contents) {}

    // The program takes a block. In the book, one that finds no memory for its line is not watched, and from then on a
    // block without a line is let pass.
    void out(void* block, std::uint32_t size_class) noexcept;
    // The program frees a block. Ends the program where it may not.
    void in(void* block, std::uint32_t size_class) noexcept;

    // Blocks leave the pool.
    void forget(void* const* blocks, std::size_t count) noexcept;
    void forget_all() noexcept {
        book_.erase_all([](const void*, line) {});
    }

    // Blocks of a class that the program has. O(blocks).
    std::uint64_t with_program(std::uint32_t size_class) noexcept;
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
        std::uint32_t freed_by;
        bool with_program;
    };

    void check_size(const void* block, std::uint32_t is, std::uint32_t said) const noexcept;
    [[noreturn]] void foreign(const void* block, std::uint32_t size_class, const spans::location& at) const noexcept;
    [[noreturn]] void freed_twice(const void* block, std::uint32_t size_class, std::uint32_t freed_by) const noexcept;
    void in_book(const void* block, std::uint32_t size_class) noexcept;

    const block_sizes sizes_;
    spans* const spans_;
    const bool watches_contents_;
    address_table<line> book_{lock_rank::ledger};
    std::atomic<bool> complete_{true};  // written by any thread that takes a block, read by those that free one
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

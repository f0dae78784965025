#include "source/ledger.hpp"

#include "base/fatal.hpp"
#include "base/thread_id.hpp"
#include "source/block_watch.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

void ledger::out(void* block, std::uint32_t size_class) noexcept {
    if (!spans_) {
        // Relaxed: whoever frees the block has it from whoever took it, and so sees what was written before.
        if (!book_.set(block, {size_class, 0, true})) complete_.store(false, std::memory_order_relaxed);
        return;
    }
    block_line& its_line = *spans::locate(block).line;
    block_line::known its = its_line.get();
    if (its.state != block_state::idle)
        fatal("%p was given out twice: size class %u (%zu B)", block, size_class, sizes_[size_class]);
    its.state = block_state::with_program;
    ++its.uses;
    its_line.set(its);
}

void ledger::in(void* block, std::uint32_t size_class) noexcept {
    if (!spans_) return in_book(block, size_class);
    const spans::location at = spans::locate(block);
    if (!at.in || at.in->owner != spans_ || at.begin != block) foreign(block, size_class, at);
    check_size(block, at.in->size_class, size_class);
    block_line::known its = at.line->give_back(thread_id());
    if (its.state != block_state::with_program) freed_twice(block, size_class, its.freed_by);
    its = at.line->get();
    its.state = block_state::idle;
    at.line->set(its);
}

void ledger::in_book(const void* block, std::uint32_t size_class) noexcept {
    book_.update(block, [&](line* found) {
        if (!found && !complete_.load(std::memory_order_relaxed)) return;
        if (!found) foreign(block, size_class, {});
        check_size(block, found->size_class, size_class);
        if (!found->with_program) freed_twice(block, size_class, found->freed_by);
        found->with_program = false;
        found->freed_by = thread_id();
    });
}

void ledger::forget(void* const* blocks, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        if (!spans_)
            book_.erase(blocks[i]);
        else if (watches_contents_)
            block_watch::check_idle(blocks[i]);
}

std::uint64_t ledger::with_program(std::uint32_t size_class) noexcept {
    if (spans_) return spans_->with_program(size_class);
    std::uint64_t blocks = 0;
    book_.for_each([&](const void*, line found) { blocks += found.with_program && found.size_class == size_class; });
    return blocks;
}

void ledger::check_size(const void* block, std::uint32_t is, std::uint32_t said) const noexcept {
    if (is != said)
        fatal("wrong size: %p belongs to size class %u (%zu B) and was freed into size class %u (%zu B)", block, is,
              sizes_[is], said, sizes_[said]);
}

void ledger::foreign(const void* block, std::uint32_t size_class, const spans::location& at) const noexcept {
    if (at.begin && at.in->owner == spans_)
        fatal("foreign pointer %p freed into size class %u (%zu B): it lies %zu bytes inside the block at %p", block,
              size_class, sizes_[size_class], static_cast<std::size_t>(static_cast<const std::byte*>(block) - at.begin),
              static_cast<void*>(at.begin));
    fatal("foreign pointer %p freed into size class %u (%zu B): this pool never gave it", block, size_class,
          sizes_[size_class]);
}

void ledger::freed_twice(const void* block, std::uint32_t size_class, std::uint32_t freed_by) const noexcept {
    fatal("double free of %p: size class %u (%zu B), freed last by thread %u", block, size_class, sizes_[size_class],
          freed_by);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

#include "source/ledger.hpp"

#include <algorithm>

#include "base/fatal.hpp"
#include "base/thread_id.hpp"
#include "source/contents.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::size_t before_max = 16;  // bytes in front of a block that are looked at when it is freed

void check_idle(const void* block, const spans::location& at, block_line::known its) noexcept {
    const std::size_t where = contents::changed_idle(block, at.bytes, at.bytes - its.spare);
    if (where != contents::no_change)
        fatal(
            "write after free: byte %zu of %p was changed while it was idle: size class %u (%zu B), freed last by "
            "thread "
            "%u",
            where, block, at.in->size_class, at.bytes, its.freed_by);
}

void check_spare(const void* block, const spans::location& at, block_line::known its) noexcept {
    const std::size_t asked = at.bytes - its.spare;
    const std::size_t where = contents::changed_spare(static_cast<const std::byte*>(block) + asked, its.spare);
    if (where != contents::no_change)
        fatal("overflow: byte %zu of %p was changed, of which %zu were asked for: size class %u (%zu B)", asked + where,
              block, asked, at.in->size_class, at.bytes);
}

// What lies in front of the block is its neighbour's: room that was not asked for, or idle. Where the neighbour's line
// changes meanwhile, nothing is known.
void check_before(const std::byte* block, const spans::location& at) noexcept {
    if (at.number == 0) return;
    const block_line::known its = (at.line - 1)->get();
    std::size_t where = contents::no_change;
    if (its.state == block_state::idle) {
        where = contents::changed_idle(block - before_max, before_max, before_max);
    } else if (its.state == block_state::with_program) {
        const std::size_t bytes = std::min<std::size_t>(its.spare, before_max);
        where = contents::changed_spare(block - bytes, bytes);
    }
    if (where == contents::no_change) return;
    std::atomic_thread_fence(std::memory_order_acquire);  // the bytes above before the look below
    if ((at.line - 1)->get() == its)
        fatal("underflow: a byte in front of %p was changed: size class %u (%zu B)", static_cast<const void*>(block),
              at.in->size_class, at.bytes);
}

void check_idle(const void* block) noexcept {
    const spans::location at = spans::locate(block);
    check_idle(block, at, at.line->get());
}

}  // namespace

void ledger::out(void* block, std::uint32_t size_class) noexcept {
    if (spans_) {
        const spans::location at = spans::locate(block);
        block_line::known its = at.line->get();
        if (its.state != block_state::idle)
            fatal("%p was given out twice: size class %u (%zu B)", block, size_class, at.bytes);
        if (watches_contents_) check_idle(block, at, its);
        its.state = block_state::with_program;
        its.spare = 0;
        ++its.uses;
        at.line->set(its);
        return;
    }
    // Relaxed: whoever frees the block has it from whoever took it, and so sees what was written before.
    if (!book_.set(block, {size_class, 0, true})) complete_.store(false, std::memory_order_relaxed);
}

void ledger::in(void* block, std::uint32_t size_class) noexcept {
    if (!spans_) return in_book(block, size_class);
    const spans::location at = spans::locate(block);
    if (!at.in || at.in->owner != spans_ || at.begin != block) foreign(block, size_class, at);
    check_size(block, at.in->size_class, size_class);
    block_line::known its = at.line->give_back(thread_id());
    if (its.state != block_state::with_program) freed_twice(block, size_class, its.freed_by);
    if (watches_contents_) {
        check_spare(block, at, its);
        check_before(at.begin, at);
        contents::fill_idle(block, at.bytes, at.bytes - its.spare);
    }
    its.freed_by = thread_id();
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
            check_idle(blocks[i]);
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

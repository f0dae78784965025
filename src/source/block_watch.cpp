#include "source/block_watch.hpp"

#include <algorithm>
#include <atomic>

#include "base/fatal.hpp"
#include "base/thread_id.hpp"
#include "source/contents.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace block_watch {

namespace {

constexpr std::size_t before_max = 16;  // bytes in front of a block that are looked at when it is freed

[[noreturn, gnu::cold]] void foreign(const void* p, const spans::location& at) noexcept {
    fatal("free of foreign pointer %p: it lies %td bytes inside the block at %p: size class %u (%zu B)", p,
          static_cast<const std::byte*>(p) - at.begin, static_cast<void*>(at.begin), at.in->size_class, at.bytes);
}

[[noreturn, gnu::cold]] void not_out(const spans::location& at, const char* what, block_line::known its) noexcept {
    fatal("%s %p: size class %u (%zu B), freed last by thread %u", what, static_cast<void*>(at.begin),
          at.in->size_class, at.bytes, its.freed_by);
}

void check_idle(const spans::location& at, block_line::known its) noexcept {
    const std::size_t where = contents::changed_idle(at.begin, at.bytes, at.bytes - its.spare);
    if (where != contents::no_change)
        fatal(
            "write after free: byte %zu of %p was changed while it was idle: size class %u (%zu B), freed last by "
            "thread %u",
            where, static_cast<void*>(at.begin), at.in->size_class, at.bytes, its.freed_by);
}

void check_spare(const spans::location& at, block_line::known its) noexcept {
    const std::size_t asked = at.bytes - its.spare;
    const std::size_t where = contents::changed_spare(at.begin + asked, its.spare);
    if (where != contents::no_change)
        fatal("overflow: byte %zu of %p was changed, of which %zu were asked for: size class %u (%zu B)", asked + where,
              static_cast<void*>(at.begin), asked, at.in->size_class, at.bytes);
}

// What lies in front of the block is its neighbour's: room that was not asked for, or idle. Where the neighbour's line
// changes meanwhile, nothing is known.
void check_before(const spans::location& at) noexcept {
    if (at.number == 0) return;
    const block_line::known its = (at.line - 1)->get();
    std::size_t where = contents::no_change;
    if (its.state == block_state::idle) {
        where = contents::changed_idle(at.begin - before_max, before_max, before_max);
    } else if (its.state == block_state::with_program) {
        const std::size_t bytes = std::min<std::size_t>(its.spare, before_max);
        where = contents::changed_spare(at.begin - bytes, bytes);
    }
    if (where == contents::no_change) return;
    fence(std::memory_order_acquire);  // the bytes above before the look below; begin_change()
    if ((at.line - 1)->get() == its)
        fatal("underflow: a byte in front of %p was changed: size class %u (%zu B)", static_cast<void*>(at.begin),
              at.in->size_class, at.bytes);
}

}  // namespace

void take(const spans::location& at, std::size_t asked) noexcept {
    block_line::known its = at.line->get();
    if (its.state != block_state::idle) not_out(at, "given out twice:", its);
    check_idle(at, its);
    at.line->begin_change(its);
    its.state = block_state::with_program;
    its.spare = static_cast<std::uint16_t>(at.bytes - asked);
    ++its.uses;
    contents::fill_spare(at.begin + asked, its.spare);
    at.line->set(its);
}

void resize(const spans::location& at, std::size_t asked) noexcept {
    block_line::known its = at.line->get();
    its.spare = static_cast<std::uint16_t>(at.bytes - asked);
    contents::fill_spare(at.begin + asked, its.spare);
    at.line->set(its);
}

void give(const void* p, const spans::location& at) noexcept {
    if (at.begin != p) foreign(p, at);
    const block_line::known its = at.line->give_back(thread_id());
    if (its.state != block_state::with_program) not_out(at, "double free of", its);
    check_spare(at, its);
    check_before(at);
    close(at);
}

void open(const spans::location& at) noexcept { at.line->begin_change(at.line->get()); }

void close(const spans::location& at) noexcept {
    block_line::known its = at.line->get();
    contents::fill_idle(at.begin, at.bytes, at.bytes - its.spare);
    its.state = block_state::idle;
    at.line->set(its);
}

std::size_t asked(const spans::location& at, const char* what) noexcept {
    const block_line::known its = at.line->get();
    if (its.state != block_state::with_program) not_out(at, what, its);
    return at.bytes - its.spare;
}

void check_size(const spans::location& at, std::size_t said) noexcept {
    const block_line::known its = at.line->get();
    if (its.state == block_state::with_program && at.bytes - its.spare != said)
        fatal("wrong size: %p has %zu bytes and was freed as %zu: size class %u (%zu B)", static_cast<void*>(at.begin),
              at.bytes - its.spare, said, at.in->size_class, at.bytes);
}

void check_idle(const void* block) noexcept {
    const spans::location at = spans::locate(block);
    check_idle(at, at.line->get());
}

}  // namespace block_watch
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

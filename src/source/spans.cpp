#include "source/spans.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "base/fatal.hpp"
#include "base/lock_guard.hpp"
#include "base/poison.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::uint32_t word_bits = span::word_bits;
constexpr std::size_t eager_from = 8;  // spans of a class in use; what an eager one wastes is an eighth of them at most
constexpr std::size_t eager_bytes_max = 512;  // a block; what threads hold unused of larger ones may be whole pages

constexpr std::uint32_t words_for(std::uint32_t blocks) noexcept { return span::words_for(blocks); }

void set_all(span& s, std::uint32_t blocks) noexcept {
    std::fill_n(s.bits(), blocks / word_bits, ~std::uint64_t{0});
    if (blocks % word_bits) s.bits()[blocks / word_bits] = (std::uint64_t{1} << blocks % word_bits) - 1;
    s.free_blocks = blocks;
}

}  // namespace

bool spans::set_up() noexcept {
    void* place = records_.allocate(sizes_.count * sizeof(span_class), alignof(span_class));
    if (!place) return false;
    classes_ = static_cast<span_class*>(place);
    for (std::uint32_t c = 0; c < sizes_.count; ++c) {
        auto* s = ::new (classes_ + c) span_class;
        s->block_bytes = sizes_[c];
        s->shape = span_shape::of(s->block_bytes);
        s->reciprocal = (std::uint64_t{1} << 32) / s->block_bytes + 1;
    }
    return true;
}

std::size_t spans::refill(std::uint32_t size_class, void** blocks, std::size_t count, growth most) noexcept {
    span_class& s = classes_[size_class];
    std::size_t got = 0;
    span* fresh = nullptr;
    do {
        const lock_guard hold(s.lock);
        if (fresh) {
            // At the front, and taken from before anyone else can: so no span stays all free (invariant 1).
            s.open.push_front(*fresh);
            s.all.push_front(*fresh);
            s.spans.fetch_add(1, std::memory_order_relaxed);
        }
        got += take(s, blocks + got, count - got);
    } while (got < count && (fresh = new_span(s, size_class, most)));
    // A magazine is emptied from its end: reversed, so that a growing program goes upwards through memory.
    std::reverse(blocks, blocks + got);
    return got;
}

// From the span that opened last, which is the one with the most blocks in use: the others get the time
// to become all free.
std::size_t spans::take(span_class& s, void** blocks, std::size_t count) noexcept {
    std::size_t got = 0;
    while (got < count && !s.open.empty()) {
        span& from = *s.open.first();
        const std::size_t before = got;
        for (std::uint32_t w = 0; got < count && got - before < from.free_blocks; ++w) {
            std::uint64_t& word = from.bits()[w];
            for (; word != 0 && got < count; word &= word - 1) {
                const std::size_t index = w * word_bits + static_cast<std::uint32_t>(std::countr_zero(word));
                blocks[got++] = from.base + index * s.block_bytes;
            }
        }
        from.free_blocks -= static_cast<std::uint32_t>(got - before);
        if (from.free_blocks == 0) s.open.remove(from);
    }
    return got;
}

// Without the lock but for moments. Null when the upstream, the records or the page map have no memory, or it would
// have to grow too far.
span* spans::new_span(span_class& s, std::uint32_t size_class, growth most) noexcept {
    // Relaxed: a guess at how much more will be wanted.
    const bool eager = s.block_bytes <= eager_bytes_max && s.spans.load(std::memory_order_relaxed) >= eager_from;
    auto* base = static_cast<std::byte*>(idle_.take(s.shape.span_bytes, eager, most));
    if (!base) return nullptr;
    span* fresh = unused_record(s);
    if (fresh && page_map::set(base, s.shape.span_bytes, fresh, size_class)) {
        fresh->owner = this;
        fresh->size_class = size_class;
        fresh->base = base;
        set_all(*fresh, s.shape.blocks);
        if constexpr (hardened) begin_watch(s, *fresh);
        poison(base, s.shape.span_bytes);
        return fresh;
    }
    if (fresh) retire_record(s, fresh);
    idle_.return_span(base, s.shape.span_bytes);
    return nullptr;
}

span* spans::unused_record(span_class& s) noexcept {
    {
        const lock_guard hold(s.lock);
        if (span* found = s.unused) {
            s.unused = found->all.next;
            return found;
        }
    }
    const std::size_t lines = hardened ? s.shape.blocks * sizeof(block_line) : 0;
    return records_.make<span>(words_for(s.shape.blocks) * sizeof(std::uint64_t) + lines);
}

void spans::retire_record(span_class& s, span* record) noexcept {
    const lock_guard hold(s.lock);
    record->all.next = s.unused;
    s.unused = record;
}

bool spans::lies_in(const span_class& s, const span& in, const void* block) noexcept {
    return static_cast<std::size_t>(static_cast<const std::byte*>(block) - in.base) < s.shape.span_bytes;
}

// Whether the block lies in no span of ours; `in` becomes the span found. Ends the program where the block's class is
// another: going on would corrupt the pool.
bool spans::is_foreign(const span_class& s, span*& in, std::uint32_t size_class, const void* block) const noexcept {
    in = page_map::find(block);
    if (!in || in->owner != this) return true;
    if (in->size_class != size_class)
        fatal("wrong size: %p belongs to size class %u (%zu B) and was freed into size class %u (%zu B)", block,
              in->size_class, sizes_[in->size_class], size_class, s.block_bytes);
    return false;
}

// The block's number in its span.
std::uint32_t spans::number_of(const span_class& s, const span& in, std::uint32_t size_class,
                               const void* block) const noexcept {
    const auto offset = static_cast<std::uint64_t>(static_cast<const std::byte*>(block) - in.base);
    // Exact where the offset is a multiple of the size; where it is not, the product below differs.
    const auto index = static_cast<std::uint32_t>(offset * s.reciprocal >> 32);
    if (index * s.block_bytes != offset || index >= s.shape.blocks)
        fatal("foreign pointer %p freed into size class %u (%zu B): it is no block's beginning", block, size_class,
              s.block_bytes);
    return index;
}

void spans::drain(std::uint32_t size_class, void** blocks, std::size_t count, bool stale) noexcept {
    if (!classes_) return handle_foreign(size_class, blocks, count);
    span_class& s = classes_[size_class];
    span* gone = nullptr;  // linked by all.next
    std::size_t foreign_count = 0;
    {
        const lock_guard hold(s.lock);
        for (std::size_t i = 0; i < count;) {
            span* in = nullptr;
            if (is_foreign(s, in, size_class, blocks[i])) {
                std::swap(blocks[foreign_count++], blocks[i++]);
                continue;
            }
            i += mark_free(s, *in, size_class, blocks + i, count - i);
            if (in->free_blocks < s.shape.blocks) continue;
            s.open.remove(*in);
            s.all.remove(*in);
            s.spans.fetch_sub(1, std::memory_order_relaxed);
            in->all.next = gone;
            gone = in;
        }
    }
    while (gone) {
        span* next = gone->all.next;
        std::byte* base = gone->base;
        // Out of the map before it is out of our hands: the address may be somebody's span again a moment later.
        page_map::clear(base, s.shape.span_bytes);
        retire_record(s, gone);
        stale ? idle_.keep_expired(base, s.shape.span_bytes) : idle_.keep(base, s.shape.span_bytes);
        gone = next;
    }
    handle_foreign(size_class, blocks, foreign_count);
}

// Marks the blocks free, as far as they lie in this span one after the other; the first one does. Returns how many. The
// word of bits at hand is kept out of memory, since neighbours tend to be freed together.
std::size_t spans::mark_free(span_class& s, span& in, std::uint32_t size_class, void** blocks,
                             std::size_t count) noexcept {
    std::size_t done = 0;
    std::uint32_t at = 0;
    std::uint64_t word = in.bits()[0];
    for (; done < count && lies_in(s, in, blocks[done]); ++done) {
        const std::uint32_t index = number_of(s, in, size_class, blocks[done]);
        if (index / word_bits != at) {
            in.bits()[at] = word;
            at = index / word_bits;
            word = in.bits()[at];
        }
        const std::uint64_t bit = std::uint64_t{1} << index % word_bits;
        if (word & bit) fatal("double free of %p: size class %u (%zu B)", blocks[done], size_class, s.block_bytes);
        word |= bit;
    }
    in.bits()[at] = word;
    if (in.free_blocks == 0) s.open.push_front(in);
    in.free_blocks += static_cast<std::uint32_t>(done);
    return done;
}

void spans::handle_foreign(std::uint32_t size_class, void** blocks, std::size_t count) const noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        if (!foreign_)
            fatal("foreign pointer %p freed into size class %u (%zu B): this pool never gave it", blocks[i], size_class,
                  sizes_[size_class]);
        foreign_(blocks[i]);
    }
}

void spans::before_fork() noexcept {
    for (std::uint32_t c = 0; classes_ && c < sizes_.count; ++c) classes_[c].lock.lock_for_fork();
    idle_.before_fork();
}

void spans::after_fork() noexcept {
    idle_.after_fork();
    for (std::uint32_t c = 0; classes_ && c < sizes_.count; ++c) classes_[c].lock.unlock_after_fork();
}

// Every span, linked by all.next.
span* spans::take_all(span_class& s) noexcept {
    const lock_guard hold(s.lock);
    span* taken = s.all.first();
    s.open.clear();
    s.all.clear();
    s.spans.store(0, std::memory_order_relaxed);
    return taken;
}

bool spans::release_all() noexcept {
    const bool at_once = upstream_.releases();
    for (std::uint32_t c = 0; classes_ && c < sizes_.count; ++c) {
        span_class& s = classes_[c];
        span* gone = take_all(s);
        while (gone) {
            span* next = gone->all.next;
            std::byte* base = gone->base;
            page_map::clear(base, s.shape.span_bytes);
            retire_record(s, gone);
            at_once ? unpoison(base, s.shape.span_bytes) : idle_.return_span(base, s.shape.span_bytes);
            gone = next;
        }
    }
    idle_.shrink(0);
    if (at_once) upstream_.release_all();
    return true;
}

void spans::check() noexcept {
    for (std::uint32_t c = 0; classes_ && c < sizes_.count; ++c) {
        span_class& s = classes_[c];
        const lock_guard hold(s.lock);
        if (!s.all.whole() || !s.open.whole()) fatal("the lists of spans of size class %u are broken", c);
        std::size_t count = 0, open = 0;
        for (span* each = s.all.first(); each; each = s.all.after(*each), ++count) {
            check_span(s, *each, c);
            if (each->free_blocks > 0) ++open;
        }
        for (span* each = s.open.first(); each; each = s.open.after(*each), --open)
            if (each->free_blocks == 0 || open == 0)
                fatal("span %p is in the wrong list", static_cast<void*>(each->base));
        if (open != 0) fatal("%zu spans of size class %u with free blocks are not in the list of such", open, c);
        if (count != s.spans.load(std::memory_order_relaxed))
            fatal("size class %u counts %zu spans and has %zu", c, s.spans.load(std::memory_order_relaxed), count);
    }
    idle_.check();
    page_map::check();
}

void spans::check_span(const span_class& s, span& each, std::uint32_t size_class) noexcept {
    std::uint32_t set = 0;
    for (std::uint32_t w = 0; w < words_for(s.shape.blocks); ++w)
        set += static_cast<std::uint32_t>(std::popcount(each.bits()[w]));
    if (set != each.free_blocks || each.free_blocks >= s.shape.blocks)
        fatal("span %p counts %u free blocks and has %u of %u", static_cast<void*>(each.base), each.free_blocks, set,
              s.shape.blocks);
    if (each.owner != this || each.size_class != size_class)
        fatal("span %p is in another one's list", static_cast<void*>(each.base));
    for (std::size_t at = 0; at < s.shape.span_bytes; at += page_map::page)
        if (page_map::find(each.base + at) != &each)
            fatal("span %p is not in the page map", static_cast<void*>(each.base));
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

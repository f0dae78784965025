// Spans of a hardened build: the lines of their blocks, and what idle blocks are filled with.
#include "base/lock_guard.hpp"
#include "source/contents.hpp"
#include "source/spans.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Of a new span, whose memory may hold anything.
void spans::begin_watch(const span_class& s, span& fresh) const noexcept {
    for (std::uint32_t i = 0; i < s.shape.blocks; ++i) {
        ::new (fresh.lines(s.shape.blocks) + i) block_line;
        if (watches_contents_) contents::fill_idle(fresh.base + i * s.block_bytes, s.block_bytes, s.block_bytes);
    }
}

std::uint64_t spans::with_program(std::uint32_t size_class) noexcept {
    std::uint64_t blocks = 0;
    if (!classes_) return blocks;
    span_class& s = classes_[size_class];
    const lock_guard hold(s.lock);
    for (span* each = s.all.first(); each; each = s.all.after(*each))
        for (std::uint32_t i = 0; i < s.shape.blocks; ++i)
            blocks += each->lines(s.shape.blocks)[i].get().state == block_state::with_program;
    return blocks;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

#include "watched.hpp"

#include <atomic>
#include <cstdint>

#include "base/fatal.hpp"
#include "source/contents.hpp"
#include "source/spans.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace watched {

using namespace detail;

namespace {

constexpr bool is_out(const block_line::known& its) noexcept { return its.state == block_state::with_program; }

}  // namespace

bool wants_guards(std::size_t size_class, std::size_t bytes) noexcept {
    if (!hardened || bytes == 0 || bytes < size_class_bytes(static_cast<std::uint32_t>(size_class))) return false;
    static constinit std::atomic<std::uint32_t> asked{0};
    constexpr std::uint32_t one_in = 16;
    return asked.fetch_add(1, std::memory_order_relaxed) % one_in == 0;  // relaxed: a sample
}

void* sized(void* p, std::size_t bytes) noexcept {
    if constexpr (!hardened) return p;
    const spans::location at = spans::locate(p);
    if (!at.line) return p;
    block_line::known its = at.line->get();
    its.spare = static_cast<std::uint16_t>(at.bytes - bytes);
    contents::fill_spare(static_cast<std::byte*>(p) + bytes, its.spare);
    at.line->set(its);
    return p;
}

std::size_t size_of(const void* p, std::size_t size_class, const char* what) noexcept {
    const std::size_t bytes = size_class_bytes(static_cast<std::uint32_t>(size_class));
    if constexpr (!hardened) return bytes;
    const block_line::known its = spans::locate(p).line->get();
    if (!is_out(its))
        fatal("%s of freed block %p: size class %zu (%zu B), freed last by thread %u", what, p, size_class, bytes,
              its.freed_by);
    return bytes - its.spare;
}

void check_size(const void* p, std::size_t bytes) noexcept {
    const spans::location at = spans::locate(p);
    if (!at.line || at.begin != p) return;
    const block_line::known its = at.line->get();
    if (is_out(its) && at.bytes - its.spare != bytes)
        fatal("wrong size: %p has %zu bytes and was freed as %zu: size class %u (%zu B)", p, at.bytes - its.spare,
              bytes, at.in->size_class, at.bytes);
}

void check_aside(void* p) noexcept {
    const spans::location at = spans::locate(p);
    if (!at.line) return;
    block_line::known its = at.line->get();
    if (!is_out(its))
        fatal("double free of %p: size class %u (%zu B), freed last by thread %u", p, at.in->size_class, at.bytes,
              its.freed_by);
    if (contents::changed_spare(static_cast<std::byte*>(p) + at.bytes - its.spare, its.spare) != contents::no_change)
        fatal("overflow: a byte behind %p was changed, of which %zu were asked for: size class %u (%zu B)", p,
              at.bytes - its.spare, at.in->size_class, at.bytes);
    its.spare = 0;
    at.line->set(its);
}

}  // namespace watched
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

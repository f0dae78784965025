#include "base/arena.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "base/assert.hpp"
#include "base/fatal.hpp"
#include "base/lock_guard.hpp"
#include "base/pages.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {
constexpr std::size_t chunk_bytes_min = std::size_t{64} << 10;
constexpr std::size_t chunk_bytes_max = std::size_t{4} << 20;

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) noexcept { return (bytes + to - 1) & ~(to - 1); }
}  // namespace

arena::~arena() {
    while (chunk* c = chunks_) {
        chunks_ = c->next;
        unmap_pages(c, c->bytes);
    }
}

void* arena::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    TIDEPOOL_ASSERT(std::has_single_bit(alignment) && alignment <= alignment_max, "alignment %zu", alignment);
    const lock_guard hold(lock_);
    std::size_t at = round_up(used_, alignment);
    if (!chunks_ || at + bytes > chunks_->bytes) {
        if (!grow(bytes + alignment)) return nullptr;
        at = round_up(used_, alignment);
    }
    used_ = at + bytes;
    return reinterpret_cast<std::byte*>(chunks_) + at;
}

std::size_t arena::bytes() noexcept {
    const lock_guard hold(lock_);
    return bytes_;
}

void arena::check() noexcept {
    const lock_guard hold(lock_);
    std::size_t bytes = 0;
    for (const chunk* c = chunks_; c; c = c->next) bytes += c->bytes;
    if (bytes != bytes_) fatal("an arena counts %zu bytes and has %zu", bytes_, bytes);
    if (chunks_ && (used_ < sizeof(chunk) || used_ > chunks_->bytes))
        fatal("an arena has used %zu bytes of a chunk of %zu", used_, chunks_->bytes);
}

// Chunks double with what is mapped already: few system calls, and at most half of it unused. What is unused is not
// resident.
bool arena::grow(std::size_t bytes) noexcept {
    const std::size_t usual = std::clamp(bytes_, chunk_bytes_min, chunk_bytes_max);
    const std::size_t size = std::max(usual, round_up(bytes + sizeof(chunk), chunk_bytes_min));
    void* place = map_pages(size, alignof(std::max_align_t));
    if (!place) return false;
    chunks_ = ::new (place) chunk{chunks_, size};
    used_ = sizeof(chunk);
    bytes_ += size;
    return true;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

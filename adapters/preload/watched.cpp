#include "watched.hpp"

#include <atomic>
#include <cstdint>

#include "source/block_watch.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace watched {

using namespace detail;

bool wants_guards() noexcept {
    static constinit std::atomic<std::uint32_t> asked{0};
    constexpr std::uint32_t one_in = 16;
    return asked.fetch_add(1, std::memory_order_relaxed) % one_in == 0;  // relaxed: a sample
}

void* taken(void* p, std::size_t bytes) noexcept {
    const spans::location at = spans::locate(p);
    if (at.line) block_watch::take(at, bytes);
    return p;
}

void* resized(void* p, std::size_t bytes) noexcept {
    if constexpr (hardened) block_watch::resize(spans::locate(p), bytes);
    return p;
}

std::size_t given(void* p) noexcept {
    const spans::location at = spans::locate(p);
    if (!at.line) return 0;
    block_watch::give(p, at);
    return bin_offset_of(at.in->size_class);
}

void set_aside(void* p) noexcept { block_watch::open(spans::locate(p)); }
void deallocated_aside(void* p) noexcept { block_watch::close(spans::locate(p)); }

std::size_t size_of(const void* p, std::size_t size_class, const char* what) noexcept {
    if constexpr (hardened) return block_watch::asked(spans::locate(p), what);
    return size_class_bytes(static_cast<std::uint32_t>(size_class));
}

void check_size(const void* p, std::size_t bytes) noexcept {
    const spans::location at = spans::locate(p);
    if (at.line && at.begin == p) block_watch::check_size(at, bytes);
}

}  // namespace watched
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

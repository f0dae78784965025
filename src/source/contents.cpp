#include "source/contents.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>

#include "base/process_random.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace contents {

namespace {

constexpr int high_bit = 0x80;  // of no letter, and not zero

// Relaxed: whoever looks first finds the same again.
int chosen_byte(std::atomic<int>& chosen, unsigned shift) noexcept {
    int byte = chosen.load(std::memory_order_relaxed);
    if (byte != 0) return byte;
    byte = static_cast<int>(process_random(0) >> shift & 0xFF) | high_bit;
    chosen.store(byte, std::memory_order_relaxed);
    return byte;
}
constinit std::atomic<int> idle_chosen{0}, spare_chosen{0};
int idle_byte() noexcept { return chosen_byte(idle_chosen, 0); }
int spare_byte() noexcept { return chosen_byte(spare_chosen, 8); }

// Of larger blocks as many as let a block have whole_max filled bytes in the mean; always the same ones, so that
// nothing has to be remembered.
bool is_whole(const void* block, std::size_t bytes) noexcept {
    if (bytes <= whole_max) return true;
    const std::uint64_t one_in_64 = (reinterpret_cast<std::uintptr_t>(block) * 0x9E3779B97F4A7C15U) >> 58;
    return one_in_64 * bytes < 64 * whole_max;
}

// Where the last of a larger block's asked bytes begin.
std::size_t end_of(std::size_t asked) noexcept { return asked > front + back ? asked - back : front; }

// In words, which compilers make vectors of: a comparison of the bytes with those behind them takes three times as
// long.
std::size_t changed(const unsigned char* p, std::size_t bytes, int byte) noexcept {
    const std::uint64_t pattern = static_cast<std::uint64_t>(byte) * 0x0101010101010101U;
    std::uint64_t difference = 0, word;
    std::size_t at = 0;
    for (; at + sizeof word <= bytes; at += sizeof word) {
        std::memcpy(&word, p + at, sizeof word);
        difference |= word ^ pattern;
    }
    for (; at < bytes; ++at) difference |= static_cast<std::uint64_t>(p[at] ^ byte);
    if (difference == 0) return no_change;
    for (at = 0; p[at] == byte;) ++at;
    return at;
}

}  // namespace

void fill_idle(void* block, std::size_t bytes, std::size_t asked) noexcept {
    auto* p = static_cast<std::byte*>(block);
    if (is_whole(block, bytes)) {
        std::memset(p, idle_byte(), bytes);
        return;
    }
    const std::size_t behind = end_of(asked);
    std::memset(p, idle_byte(), front);
    std::memset(p + behind, idle_byte(), bytes - behind);
}

std::size_t changed_idle(const void* block, std::size_t bytes, std::size_t asked) noexcept {
    const auto* p = static_cast<const unsigned char*>(block);
    if (is_whole(block, bytes)) return changed(p, bytes, idle_byte());
    const std::size_t at = changed(p, front, idle_byte());
    if (at != no_change) return at;
    const std::size_t behind = end_of(asked), later = changed(p + behind, bytes - behind, idle_byte());
    return later == no_change ? no_change : behind + later;
}

void fill_spare(void* room, std::size_t bytes) noexcept { std::memset(room, spare_byte(), bytes); }

std::size_t changed_spare(const void* room, std::size_t bytes) noexcept {
    return changed(static_cast<const unsigned char*>(room), bytes, spare_byte());
}

}  // namespace contents
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

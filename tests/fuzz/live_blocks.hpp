// The shadow model: which memory the program has. No two blocks overlap, each is aligned as asked for, and each holds
// what the program wrote until it is freed.
//
// Any thread, at any time. Its own memory is a static array, so that it asks nothing of a malloc that is tested.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory_resource>
#include <mutex>

#include "require.hpp"

namespace fuzz {

class live_blocks {
public:
    // The program has been given [p, p + bytes), and writes `stamp` to it.
    void enter(void* p, std::size_t bytes, std::size_t alignment, std::uint8_t stamp) {
        const auto begin = reinterpret_cast<std::uintptr_t>(p), end = begin + std::max<std::size_t>(bytes, 1);
        require(begin % alignment == 0, "%p is aligned to %zu", p, alignment);
        {
            const std::lock_guard hold(lock_);
            const auto after = blocks_.lower_bound(begin);
            require(after == blocks_.end() || after->first >= end, "%p of %zu bytes lies below a live block", p, bytes);
            require(after == blocks_.begin() || std::prev(after)->second <= begin,
                    "%p of %zu bytes lies behind a live block", p, bytes);
            blocks_.emplace_hint(after, begin, end);
        }
        write(p, bytes, stamp);
    }

    // The program frees it, or moves it, next.
    void leave(const void* p, std::size_t bytes, std::uint8_t stamp) {
        check(p, bytes, stamp);
        forget(p);
    }
    void forget(const void* p) {
        const std::lock_guard hold(lock_);
        require(blocks_.erase(reinterpret_cast<std::uintptr_t>(p)) == 1, "%p is a live block", p);
    }

    // Whether the program has any of it.
    bool any_in(const void* p, std::size_t bytes) {
        const auto begin = reinterpret_cast<std::uintptr_t>(p), end = begin + bytes;
        const std::lock_guard hold(lock_);
        const auto after = blocks_.lower_bound(end);
        return after != blocks_.begin() && std::prev(after)->second > begin;
    }

    std::size_t count() {
        const std::lock_guard hold(lock_);
        return blocks_.size();
    }

    // The whole of a small block, the ends of a large one.
    static void write(void* p, std::size_t bytes, std::uint8_t stamp) noexcept {
        const std::size_t first = std::min(bytes, end_bytes), last = std::min(bytes - first, end_bytes);
        std::memset(p, stamp, first);
        std::memset(static_cast<std::byte*>(p) + (bytes - last), stamp, last);
    }
    static void check(const void* p, std::size_t bytes, std::uint8_t stamp) noexcept {
        const std::size_t first = std::min(bytes, end_bytes), last = std::min(bytes - first, end_bytes);
        require(is_all(p, first, stamp), "%p of %zu bytes holds what was written to its beginning", p, bytes);
        require(is_all(static_cast<const std::byte*>(p) + (bytes - last), last, stamp),
                "%p of %zu bytes holds what was written to its end", p, bytes);
    }
    static bool is_all(const void* p, std::size_t bytes, std::uint8_t value) noexcept {
        const auto* at = static_cast<const std::uint8_t*>(p);
        return bytes == 0 || (at[0] == value && std::memcmp(at, at + 1, bytes - 1) == 0);
    }

private:
    static constexpr std::size_t end_bytes = 256;

    static inline std::array<std::byte, std::size_t{4} << 20> memory_;
    std::pmr::monotonic_buffer_resource all_{memory_.data(), memory_.size(), std::pmr::null_memory_resource()};
    std::pmr::unsynchronized_pool_resource nodes_{&all_};
    std::mutex lock_;
    std::pmr::map<std::uintptr_t, std::uintptr_t> blocks_{&nodes_};  // begin -> end; guarded by lock_
};

}  // namespace fuzz

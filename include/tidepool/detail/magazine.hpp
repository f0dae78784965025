// The magazine: an array of block pointers that moves from hand to hand as a whole.
//
// Invariants:
//  1. A magazine holds 0 <= count <= capacity blocks, in blocks()[0 .. count).
//  2. Whoever holds the magazine reads and writes it; nobody else does. It never writes into a block.
//
// Source of the algorithm: Bonwick and Adams, "Magazines and Vmem" (USENIX 2001).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class magazine {
public:
    static constexpr std::size_t capacity_max = 256;

    constexpr magazine() noexcept = default;  // of capacity 0
    constexpr magazine(std::uint32_t its_class, std::uint32_t its_capacity) noexcept
        : capacity_(its_capacity), size_class_(its_class) {}

    std::size_t count() const noexcept { return count_; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::uint32_t size_class() const noexcept { return size_class_; }
    bool empty() const noexcept { return count() == 0; }
    bool full() const noexcept { return count() == capacity_; }
    void** blocks() noexcept { return reinterpret_cast<void**>(this + 1); }

    // The last block, counted as a hit. Needs: not empty.
    void* hit() noexcept {
        ++hits_;
        return pop();
    }

    // Needs: not full.
    void push(void* block) noexcept { blocks()[count_++] = block; }

    // The last block, not counted. Needs: not empty.
    void* pop() noexcept { return blocks()[--count_]; }

    // After blocks() was filled or handed on.
    void set_count(std::size_t count) noexcept { count_ = count; }

    // Hits since the last call.
    std::uint64_t take_hits() noexcept { return std::exchange(hits_, 0); }
    std::uint64_t hits() const noexcept { return hits_; }

    magazine* next = nullptr;  // link of the list it lies in, while it lies in one

private:
    std::size_t count_ = 0;
    std::size_t capacity_ = 0;      // fixed
    std::uint64_t hits_ = 0;        // apart from the count: on its own, the count is a shorter way from hit to hit
    std::uint32_t size_class_ = 0;  // fixed
};

// Stands where there is no magazine yet. It is both empty and full, so both fast paths reject it, and nobody writes it.
inline constinit magazine no_magazine;

// What a stopped local shows: no_magazine for every class.
extern constinit std::array<magazine*, size_class_count> closed_magazines;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

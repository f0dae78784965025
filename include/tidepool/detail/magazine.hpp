// The magazine: an array of block pointers that moves from hand to hand as a whole.
//
// Invariants:
//  1. A magazine holds 0 <= count <= capacity blocks, in blocks()[0 .. count).
//  2. Right before blocks() lies a word that equals no block's address: a double free is looked for there, too.
//  3. Whoever holds the magazine reads and writes it; nobody else does. It never writes into a block.
//
// Source of the algorithm: Bonwick and Adams, "Magazines and Vmem" (USENIX 2001).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

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
    std::uint32_t size_class() const noexcept { return static_cast<std::uint32_t>(size_class_); }
    bool empty() const noexcept { return count() == 0; }
    bool full() const noexcept { return count() == capacity_; }
    void** blocks() noexcept { return reinterpret_cast<void**>(this + 1); }
    static magazine* of(void** its_blocks) noexcept { return reinterpret_cast<magazine*>(its_blocks) - 1; }

    // Needs: not full.
    void push(void* block) noexcept { blocks()[count_++] = block; }

    // The last block. Needs: not empty.
    void* pop() noexcept { return blocks()[--count_]; }

    // After blocks() was filled or handed on.
    void set_count(std::size_t count) noexcept { count_ = count; }

    magazine* next = nullptr;  // link of the list it lies in, while it lies in one

private:
    std::size_t count_ = 0;
    std::size_t capacity_ = 0;    // fixed
    std::size_t size_class_ = 0;  // fixed; invariant 2: no address is as small
};
static_assert(sizeof(magazine) == 4 * sizeof(std::size_t));

// The part of a bin that a hit touches, and all that it touches besides the block's pointer: the loaded magazine of one
// size class, whose own count is out of date meanwhile, and how many hits are left until the clock is to be looked at.
//
// Invariants: begin <= top <= end; all three are null where no magazine is loaded, which is both empty and full, so
// that both fast paths reject it and nobody writes there.
struct hot_bin {
    void** top = nullptr;    // behind the last block
    void** begin = nullptr;  // of the magazine's blocks()
    void** end = nullptr;
    std::int32_t hits_left = 0;     // below zero once a hit was refused for them
    std::int32_t hits_granted = 0;  // what was left when hits were counted last

    std::size_t count() const noexcept { return static_cast<std::size_t>(top - begin); }
    bool empty() const noexcept { return top == begin; }
    bool full() const noexcept { return top == end; }
};

static_assert(sizeof(hot_bin) == bin_stride);

// A local's: one for no class, which never has a magazine, and one for each class (bin_offset_of()). In a hardened
// build twice as many: with a quarantine, what is given goes to those of the second half.
inline constexpr std::size_t hot_bins_taken_from = size_class_count + 1;
inline constexpr std::size_t hot_bin_count = hot_bins_taken_from * (hardened ? 2 : 1);

// What a stopped local shows: no magazine for any class.
extern constinit std::array<hot_bin, hot_bin_count> closed_bins;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

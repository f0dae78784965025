// Blocks that a test holds, each filled from end to end with a mark, so that it is seen whether a pool hands out memory
// that is misaligned, too short, or somebody else's.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <utility>
#include <vector>

#include "seed.hpp"

namespace conformance {

// Not inlined: std::pmr::memory_resource::allocate() promises the compiler what is to be checked here.
[[gnu::noinline]] inline bool is_aligned(const void* p, std::size_t alignment) {
    return p != nullptr && reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// One thread.
class held_blocks {
public:
    struct block {
        unsigned char* p;
        std::size_t bytes;
        std::size_t alignment;
        unsigned char mark;
    };

    // Takes over a block that the caller was given, and writes all of it.
    void hold(void* p, std::size_t bytes, std::size_t alignment) {
        CAPTURE(bytes);
        CAPTURE(alignment);
        REQUIRE(is_aligned(p, alignment));
        const auto mark = static_cast<unsigned char>(1 + blocks_.size() % 251);
        blocks_.push_back({static_cast<unsigned char*>(p), bytes, alignment, mark});
        std::memset(p, mark, bytes);
    }

    void take(std::pmr::memory_resource& from, std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
        hold(from.allocate(bytes, alignment), bytes, alignment);
    }

    // Every block still holds what was written into it.
    bool intact() const {
        return std::all_of(blocks_.begin(), blocks_.end(), [](const block& b) {
            return b.bytes == 0 || (b.p[0] == b.mark && std::memcmp(b.p, b.p + 1, b.bytes - 1) == 0);
        });
    }

    // No two share a byte; of no bytes, no address.
    bool disjoint() const {
        std::vector<std::pair<const unsigned char*, const unsigned char*>> ranges;
        ranges.reserve(blocks_.size());
        for (const block& b : blocks_) ranges.emplace_back(b.p, b.p + std::max<std::size_t>(b.bytes, 1));
        std::sort(ranges.begin(), ranges.end());
        return std::adjacent_find(ranges.begin(), ranges.end(), [](const auto& left, const auto& right) {
                   return left.second > right.first;
               }) == ranges.end();
    }

    // Calls free_one(block) for all of them, in an order drawn by chance.
    template <class Free>
    void give_back_with(Free free_one) {
        CHECK(intact());
        CHECK(disjoint());
        auto rng = support::make_rng(blocks_.size());
        std::shuffle(blocks_.begin(), blocks_.end(), rng);
        for (const block& b : blocks_) free_one(b);
        blocks_.clear();
    }

    void give_back(std::pmr::memory_resource& to) {
        give_back_with([&](const block& b) { to.deallocate(b.p, b.bytes, b.alignment); });
    }

    // The program forgets them.
    void abandon() { blocks_.clear(); }

    const std::vector<block>& blocks() const { return blocks_; }

private:
    std::vector<block> blocks_;
};

}  // namespace conformance

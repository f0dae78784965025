// Blocks that a test holds, each filled with a mark, which shows whether a pool returned memory that is misaligned, too
// short, or in use elsewhere.
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

// Not inlined, since std::pmr::memory_resource::allocate() promises the compiler exactly what is checked here.
[[gnu::noinline]] inline bool is_aligned(const void* p, std::size_t alignment) {
    return p != nullptr && reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// For one thread.
class held_blocks {
public:
    struct block {
        unsigned char* p;
        std::size_t bytes;
        std::size_t alignment;
        unsigned char mark;
    };

    // Takes ownership of a block and writes to all of it.
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

    // Whether every block still holds its mark.
    bool intact() const {
        return std::all_of(blocks_.begin(), blocks_.end(), [](const block& b) {
            return b.bytes == 0 || (b.p[0] == b.mark && std::memcmp(b.p, b.p + 1, b.bytes - 1) == 0);
        });
    }

    // Whether no two blocks share a byte; blocks of zero bytes must differ in their address.
    bool disjoint() const {
        std::vector<std::pair<const unsigned char*, const unsigned char*>> ranges;
        ranges.reserve(blocks_.size());
        for (const block& b : blocks_) ranges.emplace_back(b.p, b.p + std::max<std::size_t>(b.bytes, 1));
        std::sort(ranges.begin(), ranges.end());
        return std::adjacent_find(ranges.begin(), ranges.end(), [](const auto& left, const auto& right) {
                   return left.second > right.first;
               }) == ranges.end();
    }

    // Calls free_one(block) for all blocks in random order.
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

    // Forgets all blocks without freeing them.
    void abandon() { blocks_.clear(); }

    const std::vector<block>& blocks() const { return blocks_; }

private:
    std::vector<block> blocks_;
};

}  // namespace conformance

// The loops of the benches, over any source of blocks: take(bytes) and give(p, bytes). None is inlined, so that every
// contestant that is called the same way runs through the very same instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/dice.hpp"
#include "common/escape.hpp"
#include "common/ring.hpp"

namespace bench {

template <class Source>
[[gnu::noinline]] void pairs(Source from, std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from.take(bytes);
        escape(p);
        from.give(p, bytes);
    }
}

// How a batch is given back: as a stack of scopes would, as a queue would, or one batch each in turn.
enum class order { reverse, in_order, alternating };

// n is a multiple of the number of blocks, or of twice that if alternating.
template <class Source>
[[gnu::noinline]] void batches(Source from, std::vector<void*>& blocks, std::size_t bytes, order freed, std::size_t n) {
    bool in_order = freed == order::in_order;
    for (std::size_t done = 0; done < n; done += blocks.size()) {
        for (void*& p : blocks) {
            p = from.take(bytes);
            escape(p);
        }
        if (in_order)
            for (void* p : blocks) from.give(p, bytes);
        else
            for (std::size_t i = blocks.size(); i-- > 0;) from.give(blocks[i], bytes);
        if (freed == order::alternating) in_order = !in_order;
    }
}

// A live block, as one keeps it who must say its size to free it, and as one who need not.
struct sized_block {
    void* p = nullptr;
    std::size_t bytes = 0;
    std::size_t size() const { return bytes; }
};
struct plain_block {
    void* p = nullptr;
    plain_block() = default;
    plain_block(void* at, std::size_t) : p(at) {}
    static std::size_t size() { return 0; }
};

template <class Block, class Source>
Block taken(Source from, size_range sizes, std::uint64_t bits) {
    const std::size_t bytes = sizes.of(bits);
    void* p = from.take(bytes);
    write_byte(p);
    return {p, bytes};
}

template <class Block, class Source>
[[gnu::noinline]] void replacements(Source from, std::vector<Block>& live, size_range sizes, dice& random,
                                    std::size_t n) {
    const auto count = static_cast<std::uint32_t>(live.size());
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t bits = random.roll();
        Block& at = live[scaled(bits >> 32, count)];
        from.give(at.p, at.size());
        at = taken<Block>(from, sizes, bits);
    }
}

template <class Source>
[[gnu::noinline]] void up_and_down(Source from, std::vector<void*>& blocks, std::size_t bytes, std::size_t n) {
    for (std::size_t done = 0; done < n; done += blocks.size()) {
        for (void*& p : blocks) write_byte(p = from.take(bytes));
        for (std::size_t i = blocks.size(); i-- > 0;) from.give(blocks[i], bytes);
    }
}

using block_ring = ring<void*, 4096>;

template <class Source>
[[gnu::noinline]] void take_for_another(Source from, block_ring& to, std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from.take(bytes);
        write_byte(p);
        to.push(p);
    }
}

template <class Source>
[[gnu::noinline]] void give_for_another(Source to, block_ring& from, std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) to.give(from.pop(), bytes);
}

}  // namespace bench

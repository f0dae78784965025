// The loops of the front benches, over any source of blocks: take(bytes) and give(p, bytes).
#pragma once

#include <cstddef>
#include <vector>

#include "fronts/benches.hpp"
#include "support/dice.hpp"
#include "support/escape.hpp"
#include "support/ring.hpp"
#include "support/team.hpp"

namespace bench {

inline void write_byte(void* p) { *static_cast<volatile unsigned char*>(p) = 1; }

template <class Source>
[[gnu::noinline]] void pairs(Source from, std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from.take(bytes);
        escape(p);
        from.give(p, bytes);
    }
}

// Two batches at a time, the first given back last first, the second first first.
template <class Source>
[[gnu::noinline]] void batches(Source from, std::vector<void*>& blocks, std::size_t bytes, std::size_t n) {
    const std::size_t count = blocks.size();
    const auto take_all = [&] {
        for (void*& p : blocks) {
            p = from.take(bytes);
            escape(p);
        }
    };
    for (std::size_t done = 0; done < n; done += 2 * count) {
        take_all();
        for (std::size_t i = count; i-- > 0;) from.give(blocks[i], bytes);
        take_all();
        for (void* p : blocks) from.give(p, bytes);
    }
}

struct sized_block {
    void* p;
    std::size_t bytes;
};

template <class Source>
sized_block taken(Source from, size_range sizes, std::uint64_t bits) {
    const std::size_t bytes = sizes.of(bits);
    void* p = from.take(bytes);
    write_byte(p);
    return {p, bytes};
}

template <class Source>
[[gnu::noinline]] void replacements(Source from, std::vector<sized_block>& live, size_range sizes, dice& random,
                                    std::size_t n) {
    const auto count = static_cast<std::uint32_t>(live.size());
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t bits = random.roll();
        sized_block& at = live[scaled(bits >> 32, count)];
        from.give(at.p, at.bytes);
        at = taken(from, sizes, bits);
    }
}

template <class Source>
[[gnu::noinline]] void up_and_down(Source from, std::vector<void*>& blocks, std::size_t bytes, std::size_t n) {
    for (std::size_t done = 0; done < n; done += blocks.size()) {
        for (void*& p : blocks) write_byte(p = from.take(bytes));
        for (std::size_t i = blocks.size(); i-- > 0;) from.give(blocks[i], bytes);
    }
}

using front_ring = ring<void*, 4096>;

template <class Source>
[[gnu::noinline]] void take_for_another(Source from, front_ring& to, std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from.take(bytes);
        write_byte(p);
        to.push(p);
    }
}

template <class Source>
[[gnu::noinline]] void give_for_another(Source to, front_ring& from, std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) to.give(from.pop(), bytes);
}

}  // namespace bench

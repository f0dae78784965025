// Traffic for stress tests: threads that allocate and free at random, with an owner's stamp in each block.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "seed.hpp"
#include "stamps.hpp"
#include "threads.hpp"

namespace support {

// Sizes of all kinds, larger ones less often; one in 64 is too large for a block.
inline std::vector<std::size_t> mixed_sizes() {
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < 64; ++i)
        sizes.push_back(std::array<std::size_t, 8>{16, 24, 48, 64, 100, 200, 333, 512}[i % 8]);
    sizes[9] = 1000;
    sizes[19] = 2048;
    sizes[29] = 5000;
    sizes[39] = 32768;
    sizes[49] = 40000;
    return sizes;
}

// Each of `threads` threads allocates and frees at random among the blocks that it holds, and one time in eight swaps a
// block into a place that all share, so that another thread frees most of those. A block's size follows from its place.
// take(bytes) may return null if it fails. Returns how often a block had two owners; every block has been freed.
template <class Take, class Give>
std::size_t traffic(std::size_t threads, std::size_t operations, const std::vector<std::size_t>& sizes, Take take,
                    Give give) {
    constexpr std::size_t own_places = 64, shared_places = 128;
    const auto bytes_of = [&](std::size_t place) { return sizes[place % sizes.size()]; };
    const auto name_of_shared = [](std::size_t place) { return 1000 + place; };
    stamps stamps;
    std::array<std::atomic<void*>, shared_places> shared{};
    const auto drop = [&](void* block, std::size_t bytes, std::size_t owner) {
        stamps.unmark(block, bytes, owner);
        give(block, bytes);
    };

    on_threads(threads, [&](std::size_t me) {
        rng random = make_rng(me);
        std::array<void*, own_places> own{};
        for (std::size_t i = 0; i < operations; ++i) {
            const std::uint64_t dice = random();
            if (dice % 8 != 0) {
                const std::size_t place = dice / 8 % own_places;
                if (void*& block = own[place]) {
                    drop(block, bytes_of(place), me);
                    block = nullptr;
                } else {
                    block = take(bytes_of(place));
                    if (block) stamps.mark(block, bytes_of(place), me);
                }
            } else {
                const std::size_t place = dice / 8 % shared_places;
                void* mine = take(bytes_of(place));
                if (mine) stamps.mark(mine, bytes_of(place), name_of_shared(place));
                // Acquire and release: the block passes to another thread with what was written to it.
                if (void* other = shared[place].exchange(mine, std::memory_order_acq_rel))
                    drop(other, bytes_of(place), name_of_shared(place));
            }
        }
        for (std::size_t place = 0; place < own_places; ++place)
            if (own[place]) drop(own[place], bytes_of(place), me);
    });
    for (std::size_t place = 0; place < shared_places; ++place)
        if (void* block = shared[place].load()) drop(block, bytes_of(place), name_of_shared(place));
    return stamps.violations();
}

}  // namespace support

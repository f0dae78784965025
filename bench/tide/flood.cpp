#include "tide/flood.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include <tidepool/detail/size_classes.hpp>
#include <tidepool/options.hpp>

#include "tide/tide.hpp"

namespace bench::tide {

namespace {

constexpr std::size_t page = 4096;
constexpr unsigned doublings = 11;          // from 16 bytes to 32 KiB
constexpr std::size_t burst_blocks = 2000;  // more than a pool's private magazines hold of them
constexpr size_range burst_sizes{16, 1040};

std::size_t mixed(dice& random) {
    const std::uint32_t least = 16U << scaled(random.roll(), doublings);
    return least + scaled(random.roll(), least);
}

// Tells a block from its neighbours.
unsigned char mark(std::size_t number) { return static_cast<unsigned char>(number * 37 + 1); }

void touch(void* p, std::size_t bytes, unsigned char with) {
    auto* at = static_cast<volatile unsigned char*>(p);
    for (std::size_t i = page; i < bytes; i += page) at[i] = with;
    at[bytes - 1] = with;
    at[0] = with;
}

}  // namespace

flood::flood(std::size_t bytes) : of_taker_(takers) {
    for (unsigned t = 0; t < takers; ++t) {
        dice random(t + 1);
        for (std::size_t left = bytes / takers; left >= 16;) {
            const std::size_t next = std::min(mixed(random), left);
            of_taker_[t].push_back({nullptr, next});
            left -= next;
        }
    }
}

void flood::take(std::pmr::memory_resource* from, unsigned taker) {
    std::vector<block>& mine = of_taker_[taker];
    for (std::size_t i = 0; i < mine.size(); ++i)
        touch(mine[i].at = from->allocate(mine[i].bytes), mine[i].bytes, mark(i));
}

void flood::free(std::pmr::memory_resource* to, unsigned freer) {
    for (unsigned t = 0; t < takers; ++t) {
        const std::vector<block>& from = of_taker_[(freer + t) % takers];
        for (std::size_t i = freer; i < from.size(); i += freers) {
            if (*static_cast<const unsigned char*>(from[i].at) != mark(i)) {
                std::fprintf(stderr, "tidepool-tide: a block of %zu bytes was overwritten\n", from[i].bytes);
                std::abort();
            }
            to->deallocate(from[i].at, from[i].bytes);
        }
    }
}

void fill_magazines(std::pmr::memory_resource* of) {
    constexpr std::size_t blocks_max = 256;  // the most that a magazine holds
    const std::size_t magazine_bytes = tidepool::pool_options().magazine_bytes_max;
    std::array<void*, 2 * blocks_max> blocks;
    for (std::uint32_t c = 0; c < tidepool::detail::size_class_count; ++c) {
        const std::size_t bytes = tidepool::detail::size_class_bytes(c);
        const std::size_t count = 2 * std::clamp<std::size_t>(magazine_bytes / bytes, 1, blocks_max);
        for (std::size_t i = 0; i < count; ++i) touch(blocks[i] = of->allocate(bytes), bytes, mark(i));
        for (std::size_t i = 0; i < count; ++i) of->deallocate(blocks[i], bytes);
    }
}

void trickle::burst() {
    std::array<std::pair<void*, std::size_t>, burst_blocks> blocks;
    for (std::size_t i = 0; i < burst_blocks; ++i) {
        const std::size_t bytes = burst_sizes.of(random_.roll());
        blocks[i] = {in_->allocate(bytes), bytes};
        touch(blocks[i].first, bytes, mark(i));
    }
    for (const auto& [p, bytes] : blocks) in_->deallocate(p, bytes);
}

}  // namespace bench::tide

// The work: what is taken, by whom it is freed, and what goes on afterwards.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory_resource>
#include <utility>
#include <vector>

#include <tidepool/detail/size_classes.hpp>
#include <tidepool/options.hpp>

#include "common/loops.hpp"
#include "tide/tide.hpp"

namespace bench::tide {

// Tells a block from its neighbours.
inline unsigned char mark(std::size_t number) { return static_cast<unsigned char>(number * 37 + 1); }

// Writes into every page of it.
inline void touch(void* p, std::size_t bytes, unsigned char with) {
    constexpr std::size_t page = 4096;
    auto* at = static_cast<volatile unsigned char*>(p);
    for (std::size_t i = page; i < bytes; i += page) at[i] = with;
    at[bytes - 1] = with;
    at[0] = with;
}

// The blocks of a flood; the same sizes for every contestant. Made before the count, so that the book itself is no part
// of what grows.
class flood {
public:
    // `bytes` in all, in blocks of 16 bytes to 32 KiB, each doubling of the size as likely as the next.
    explicit flood(std::size_t bytes) : of_taker_(takers) {
        for (unsigned t = 0; t < takers; ++t) {
            dice random(t + 1);
            for (std::size_t left = bytes / takers; left >= 16;) {
                const std::size_t next = std::min(mixed(random), left);
                of_taker_[t].push_back({nullptr, next});
                left -= next;
            }
        }
    }

    // By taker number `taker`: takes its share and touches it.
    void take(std::pmr::memory_resource* from, unsigned taker) {
        std::vector<sized_block>& mine = of_taker_[taker];
        for (std::size_t i = 0; i < mine.size(); ++i)
            touch(mine[i].p = from->allocate(mine[i].bytes), mine[i].bytes, mark(i));
    }

    // By freer number `freer`: gives back its share of what each taker took, so that neighbours are freed by different
    // threads. Ends the program if a block is not as it was written.
    void free(std::pmr::memory_resource* to, unsigned freer) {
        for (unsigned t = 0; t < takers; ++t) {
            const std::vector<sized_block>& from = of_taker_[(freer + t) % takers];
            for (std::size_t i = freer; i < from.size(); i += freers) {
                if (*static_cast<const unsigned char*>(from[i].p) != mark(i)) {
                    std::fprintf(stderr, "tidepool-tide: a block of %zu bytes was overwritten\n", from[i].bytes);
                    std::abort();
                }
                to->deallocate(from[i].p, from[i].bytes);
            }
        }
    }

private:
    static std::size_t mixed(dice& random) {
        constexpr unsigned doublings = 11;  // from 16 bytes to 32 KiB
        const std::uint32_t least = 16U << scaled(random.roll(), doublings);
        return least + scaled(random.roll(), least);
    }

    std::vector<std::vector<sized_block>> of_taker_;
};

// By each bystander: as many blocks of every size class of Tidepool's taken and given back as fill the two magazines
// that a thread keeps of it.
inline void fill_magazines(std::pmr::memory_resource* of) {
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

// A little work: blocks taken and given back, more than a pool's private magazines hold of them.
class trickle {
public:
    explicit trickle(std::pmr::memory_resource* in) : in_(in) {}
    void burst() {
        std::array<sized_block, 2000> blocks;
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            const std::size_t bytes = size_range{16, 1040}.of(random_.roll());
            blocks[i] = {in_->allocate(bytes), bytes};
            touch(blocks[i].p, bytes, mark(i));
        }
        for (const sized_block& each : blocks) in_->deallocate(each.p, each.bytes);
    }

private:
    std::pmr::memory_resource* in_;
    dice random_{1};
};

}  // namespace bench::tide

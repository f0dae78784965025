// The pools of tick-hold-up, and the stock of idle blocks that is kept in them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <tidepool/pool_resource.hpp>

#include "common/loops.hpp"
#include "ticks/visits.hpp"

namespace bench {

inline constexpr unsigned town_pools = 64;
inline constexpr std::size_t town_blocks = 100'000;
inline constexpr size_range town_sizes{16, 1040};

class town {
public:
    town(tidepool::upstream upstream, std::chrono::milliseconds decay_interval) {
        for (unsigned i = 0; i < town_pools; ++i)
            pools_.push_back(std::make_unique<tidepool::pool_resource>(
                tidepool::pool_options{.decay_interval = decay_interval}, upstream));
        dice random(1);
        stocks_.resize(town_pools);
        for (std::size_t i = 0; i < town_blocks; ++i)
            stocks_[i % town_pools].push_back({nullptr, town_sizes.of(random.roll())});
    }

    tidepool::pool_resource& pool(unsigned i) { return *pools_[i % town_pools]; }

    // Takes the pool's stock and gives it back: what had gone down is there again, and all of it is young. One thread.
    void restock(unsigned i) {
        std::vector<sized_block>& stock = stocks_[i % town_pools];
        for (sized_block& each : stock) write_byte(each.p = pool(i).allocate(each.bytes));
        for (const sized_block& each : stock) pool(i).deallocate(each.p, each.bytes);
    }

    // Sums of the pools' statistics. Visits every local, and so holds threads up.
    struct sums {
        std::uint64_t ticks = 0, cached = 0, returned = 0;
    };
    sums count() const {
        const uncounted_visits quiet;
        sums all;
        for (const auto& each : pools_) {
            const tidepool::stats now = each->stats();
            all.ticks += now.ticks;
            all.cached += now.blocks_cached;
            all.returned += now.blocks_returned;
        }
        return all;
    }

private:
    std::vector<std::unique_ptr<tidepool::pool_resource>> pools_;
    std::vector<std::vector<sized_block>> stocks_;
};

}  // namespace bench

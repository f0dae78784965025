// Threads are stopped inside a pool while others go on, and processes at any moment: interrupted.hpp.
#include "interrupted.hpp"

#include <chrono>
#include <cstddef>
#include <iterator>

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

tidepool::pool_options ages_fast(tidepool::block_source source) {
    tidepool::pool_options options;
    options.source = source;
    options.decay_interval = 5ms;
    return options;
}

// Never ended, since threads are parked in them.
struct pools {
    tidepool::pool_resource spans{ages_fast(tidepool::block_source::spans), tidepool::pages_upstream()};
    tidepool::pool_resource direct{ages_fast(tidepool::block_source::direct), tidepool::pages_upstream()};
    tidepool::block_pool packets{1500, 64, ages_fast(tidepool::block_source::spans), tidepool::pages_upstream()};
};
pools& all() noexcept {
    static pools& its = *new pools;
    return its;
}

struct work {
    static constexpr std::size_t sizes[]{16, 100, 700, 3000, 20'000, 50'000};

    static void use() noexcept {
        constexpr std::size_t count = 300;
        unsigned char* held[count];
        for (int turn = 0; turn < 3; ++turn) {
            for (std::size_t i = 0; i < count; ++i) {
                held[i] = static_cast<unsigned char*>(take(i));
                held[i][0] = held[i][bytes_of(i) - 1] = static_cast<unsigned char>(i);
            }
            for (std::size_t i = 0; i < count; ++i) {
                const auto is = static_cast<unsigned char>(i);
                interrupted::require(held[i][0] == is && held[i][bytes_of(i) - 1] == is, "a block keeps its contents");
                give(i, held[i]);
            }
        }
    }
    static void return_all() noexcept {
        all().spans.trim();
        all().direct.trim();
        tidepool::tick();
    }

private:
    static std::size_t bytes_of(std::size_t i) noexcept { return i % 3 == 2 ? 1500 : sizes[i % std::size(sizes)]; }
    static void* take(std::size_t i) noexcept {
        if (i % 3 == 0) return all().spans.allocate(bytes_of(i), 8);
        if (i % 3 == 1) return all().direct.allocate(bytes_of(i), 8);
        return all().packets.allocate();
    }
    static void give(std::size_t i, void* p) noexcept {
        if (i % 3 == 0) return all().spans.deallocate(p, bytes_of(i), 8);
        if (i % 3 == 1) return all().direct.deallocate(p, bytes_of(i), 8);
        all().packets.deallocate(p);
    }
};

}  // namespace

int main() {
    alarm(280);
    interrupted::park<work>(10);
    interrupted::stop<work>(40);
}

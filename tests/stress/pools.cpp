// Pools are constructed and destroyed while other threads use, tick, trim and inspect them. A pool may be destroyed
// while a tick visits it, heartbeats come at any moment, and several pools share a byte limit.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "clock/heartbeat.hpp"
#include "clock/registry.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"

#include <tidepool/decorators.hpp>
#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

// malloc with an occasional heartbeat.
struct beating {
    std::atomic<std::size_t> calls{0};
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        beat();
        return tidepool::libc_upstream().allocate(bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        tidepool::libc_upstream().deallocate(p, bytes, alignment);
        beat();
    }
    bool heartbeat_safe() const noexcept { return true; }
    void beat() noexcept {
        if (++calls % 3 == 0) tidepool::detail::heartbeat();
    }
};

// A pool of any kind that threads share; the last of them destroys it.
struct shared_pool {
    std::unique_ptr<tidepool::pool_resource> blocks;
    std::unique_ptr<tidepool::object_pool<std::vector<int>>> objects;

    void use(support::rng& random) {
        if (objects) {
            for (int i = 0; i < 20; ++i) objects->borrow()->assign(random() % 100, 1);
            return;
        }
        std::array<std::pair<void*, std::size_t>, 40> held{};
        for (auto& [p, bytes] : held) {
            bytes = random() % 10 == 0 ? random() % 40'000 : random() % 500;
            try {
                p = blocks->allocate(bytes);
            } catch (const std::bad_alloc&) {
                p = nullptr;
            }
        }
        for (const auto& [p, bytes] : held)
            if (p) blocks->deallocate(p, bytes);
    }
    void visit(std::uint64_t how) {
        if (objects) return how % 2 ? objects->tick() : static_cast<void>(objects->stats());
        switch (how % 3) {
            case 0:
                return blocks->tick();
            case 1:
                return static_cast<void>(blocks->trim());
            default:
                return static_cast<void>(blocks->stats());
        }
    }
};

class places {
public:
    places(tidepool::upstream own, tidepool::upstream limited) : own_(own), limited_(limited) {}

    std::shared_ptr<shared_pool> at(std::size_t place) {
        const std::lock_guard hold(lock_);
        return pools_[place % pools_.size()];
    }
    void replace(std::size_t place, support::rng& random) {
        auto fresh = std::make_shared<shared_pool>();
        const std::chrono::milliseconds interval(random() % 3);
        if (random() % 4 == 0) {
            fresh->objects = std::make_unique<tidepool::object_pool<std::vector<int>>>(
                tidepool::value_factory<std::vector<int>>(), tidepool::no_reset(),
                tidepool::object_pool_options{.decay_interval = interval});
        } else {
            tidepool::pool_options options{.decay_interval = interval};
            options.source = random() % 2 ? tidepool::block_source::spans : tidepool::block_source::direct;
            options.local_bytes_max = random() % 2 ? 0 : 100'000;
            options.depot_bytes_max = random() % 2 ? 0 : 200'000;
            fresh->blocks = std::make_unique<tidepool::pool_resource>(options, random() % 2 ? own_ : limited_);
        }
        // Keeps the old pool alive until the lock is released.
        const std::lock_guard hold(lock_);
        pools_[place % pools_.size()].swap(fresh);
    }

private:
    const tidepool::upstream own_, limited_;
    std::mutex lock_;
    std::array<std::shared_ptr<shared_pool>, 6> pools_;
};

}  // namespace

TEST_CASE("eight threads construct, use, tick and destroy pools at random") {
    beating below;
    tidepool::counting_upstream books(below);
    {
        tidepool::limited_upstream limit(books, 3'000'000);
        const tidepool::background_ticker tide(1ms);
        places all(books, limit);
        support::on_threads(8, [&](std::size_t me) {
            support::rng random = support::make_rng(me);
            for (std::size_t i = 0; i < support::scaled(12'000); ++i) {
                const std::uint64_t dice = random();
                const auto pool = all.at(dice / 64);
                switch (dice % 64) {
                    case 0:
                        all.replace(dice / 64, random);
                        break;
                    case 1:
                        tidepool::tick();
                        break;
                    case 2:
                        tidepool::detail::registry::tick_due(tidepool::detail::coarse_now());
                        break;
                    case 3:
                        // Threads that exit while pools are constructed and destroyed.
                        std::thread([&] {
                            if (pool) pool->use(random);
                        }).join();
                        break;
                    case 4:
                    case 5:
                        if (pool) pool->visit(dice / 64);
                        break;
                    default:
                        if (pool) pool->use(random);
                }
            }
        });
    }
    CHECK(books.counted().blocks_live() == 0);
    CHECK(books.counted().bytes_live == 0);
}

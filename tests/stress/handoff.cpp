// One thread allocates and another frees: memory and records stay bounded, however many blocks pass.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "counting_upstream.hpp"
#include "memory_use.hpp"
#include "reach.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "stamps.hpp"
#include "threads.hpp"
#include "worker.hpp"

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

struct parcel {
    void* block;
    std::size_t bytes;
    std::size_t sender;
};

// A bounded queue of batches with any number of senders and receivers.
class belt {
public:
    explicit belt(std::size_t room) : room_(room) {}

    void send(std::vector<parcel> batch) {
        std::unique_lock hold(lock_);
        changed_.wait(hold, [&] { return batches_.size() < room_; });
        batches_.push_back(std::move(batch));
        changed_.notify_all();
    }

    // Returns an empty batch once everything has been sent and received.
    std::vector<parcel> receive() {
        std::unique_lock hold(lock_);
        changed_.wait(hold, [&] { return !batches_.empty() || over_; });
        if (batches_.empty()) return {};
        std::vector<parcel> batch = std::move(batches_.front());
        batches_.pop_front();
        changed_.notify_all();
        return batch;
    }

    void close() {
        const std::lock_guard hold(lock_);
        over_ = true;
        changed_.notify_all();
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<std::vector<parcel>> batches_;
    const std::size_t room_;
    bool over_ = false;
};

constexpr std::array<std::size_t, 8> sizes{16, 64, 200, 512, 1000, 2048, 4000, 8000};
constexpr std::size_t room = 16, batch_max = 32;

// `senders` threads allocate `blocks` blocks in all, `receivers` others free them. Returns how many had two owners.
std::size_t hand_off(tidepool::pool_resource& pool, std::size_t senders, std::size_t receivers, std::size_t blocks) {
    belt belt(room);
    support::stamps stamps;
    std::atomic<std::size_t> sending{senders};
    support::on_threads(senders + receivers, [&](std::size_t me) {
        if (me < senders) {
            support::rng random = support::make_rng(me);
            for (std::size_t sent = 0; sent < blocks / senders;) {
                std::vector<parcel> batch(1 + random() % batch_max);
                for (parcel& each : batch) {
                    each = {nullptr, sizes[random() % sizes.size()], me};
                    each.block = pool.allocate(each.bytes, 8);
                    stamps.mark(each.block, each.bytes, me);
                }
                sent += batch.size();
                belt.send(std::move(batch));
            }
            if (--sending == 0) belt.close();
        } else {
            for (;;) {
                const std::vector<parcel> batch = belt.receive();
                if (batch.empty()) return;
                for (const parcel& each : batch) {
                    stamps.unmark(each.block, each.bytes, each.sender);
                    pool.deallocate(each.block, each.bytes, 8);
                }
            }
        }
    });
    return stamps.violations();
}

}  // namespace

namespace {

void stays_within_bounds(tidepool::block_source source, std::size_t senders, std::size_t receivers) {
    CAPTURE(senders);
    CAPTURE(receivers);
    support::counting_upstream books;
    {
        tidepool::pool_options options;
        options.source = source;
        options.decay_interval = 0ms;  // no tick helps
        options.magazine_bytes_max = 16 * 1024;
        options.local_bytes_max = 64 * 1024;
        options.depot_bytes_max = 0;
        tidepool::pool_resource pool(options, books);
        CHECK(hand_off(pool, senders, receivers, support::scaled(300'000)) == 0);

        // The bound for one size: the blocks in the queue and held by threads; idle in each thread at most two
        // magazines of 16 KiB and 64 KiB beyond them; and one refill or spill in progress. A span is requested only if
        // no span of the class has a free block, so one for each thread may come on top of the rounding. The sizes may
        // peak one after the other and leave spans behind, hence the sum.
        const std::size_t threads = senders + receivers;
        std::size_t bound = 0;
        for (const std::size_t bytes : sizes)
            bound += (room + threads) * batch_max * (bytes + bytes / 8) + threads * (3 * 16 + 64) * 1024 +
                     (threads + 1) * 256 * 1024;
        // The chaos build drops and steals at random, but within the same limits.
        CHECK(books.counted().bytes_peak <= bound);
        CHECK(pool.stats().blocks_in_use == 0);
        CHECK(pool.stats().bytes_cached <= bound);
        pool.tick();
        pool.tick();
        CHECK(books.counted().bytes_live() == 0);
    }
    CHECK(books.balanced());
}

}  // namespace

TEST_CASE("memory stays bounded when other threads free what some allocate") {
    for (const auto source : {tidepool::block_source::spans, tidepool::block_source::direct}) {
        stays_within_bounds(source, 1, 1);
        stays_within_bounds(source, 2, 2);
        stays_within_bounds(source, 4, 2);
        stays_within_bounds(source, 1, 6);
        stays_within_bounds(source, 6, 1);
    }
}

TEST_CASE("empty magazines return from the allocating thread to the freeing thread") {
    if (!support::others_in_reach()) return;
    // Each round empties and fills about eighty magazines; if they stayed where they become empty, they would cost 160
    // KiB a round.
    constexpr std::size_t blocks = 20'000, bytes = 64;
    constexpr std::size_t rounds = support::scaled(2000);
    tidepool::pool_options options;
    options.decay_interval = 0ms;
    tidepool::block_pool pool(bytes, 16, options);
    support::worker taker, freer;
    std::vector<void*> taken;
    const auto one_round = [&] {
        taker.run([&] {
            for (std::size_t i = 0; i < blocks; ++i) taken.push_back(pool.allocate());
        });
        freer.run([&] {
            for (void* each : taken) pool.deallocate(each);
            taken.clear();
        });
    };
    for (std::size_t i = 0; i < rounds / 10; ++i) one_round();
    const std::size_t early = support::resident_bytes();
    for (std::size_t i = 0; i < rounds; ++i) one_round();
    if constexpr (support::resident_is_ours) CHECK(support::resident_bytes() <= early + (std::size_t{1} << 20));
    CHECK(pool.stats().blocks_in_use == 0);
    // Blocks return, too: the blocks of the first rounds serve all others.
    CHECK(pool.stats().upstream_bytes_peak <= 2 * blocks * bytes + (std::size_t{1} << 20));
}

TEST_CASE("a thread that only frees does not accumulate blocks") {
    if (!support::others_in_reach()) return;
    constexpr std::size_t blocks = support::scaled(1'000'000), bytes = 256;
    support::counting_upstream books;
    {
        tidepool::pool_options options;
        options.decay_interval = 0ms;
        options.magazine_bytes_max = 16 * 1024;
        options.local_bytes_max = 128 * 1024;
        options.depot_bytes_max = 0;
        tidepool::block_pool pool(bytes, 16, options, books);
        std::vector<void*> taken;
        for (std::size_t i = 0; i < blocks; ++i) taken.push_back(pool.allocate());
        const std::uint64_t ours = pool.stats().bytes_cached;  // the last refill; more where hits are refused at random
        support::worker freer;
        freer.run([&] {
            for (void* each : taken) pool.deallocate(each);
        });
        // Its chain and its two magazines; three with a quarantine.
        CHECK(pool.stats().bytes_cached <= ours + 128 * 1024 + 3 * 16 * 1024);
        CHECK(pool.stats().blocks_in_use == 0);
        // Blocks are freed in the order of allocation, so all spans but the last are all free.
        CHECK(books.counted().bytes_live() <= std::size_t{1} << 20);
    }
    CHECK(books.balanced());
}

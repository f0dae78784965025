// tidepool-go-loops LOOP THREADS ROUNDS: one of the loops by which Go times its sync.Pool, over an object_pool with its
// default options, as one line of JSON. sync_pool.go beside it is the same over sync.Pool.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include <tidepool/object_pool.hpp>

#include "common/escape.hpp"

namespace bench {

namespace {

struct item {
    std::uint64_t value = 1;
};

std::atomic<std::uint64_t> news = 0, misses = 0, cleanups = 0, allocated = 0;

// Go's loops put the same value again and again, which needs no object to be there. A thread has so many in hand here
// that it hardly ever runs out when another gets what it has put; it makes more if it does.
constexpr std::size_t in_hand = 10'000;

// `put` objects put one after the other, then `get` got.
void put_and_get(auto& pool, std::vector<item*>& hand, std::size_t put, std::size_t get, std::uint64_t rounds) {
    std::uint64_t missed = 0;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < put; ++i) {
            if (hand.empty()) [[unlikely]]
                hand.push_back(pool.get());
            pool.put(hand.back());
            hand.pop_back();
        }
        for (std::size_t i = 0; i < get; ++i) {
            if (item* const p = pool.try_get())
                hand.push_back(p);
            else
                ++missed;
        }
    }
    misses += missed;
}

// The pool ages whenever this much was allocated by all threads together.
constexpr std::uint64_t cleanup_bytes = 8U << 20, sink_bytes = 32U << 10;

// 100 objects in use at a time, with some allocation for each.
void use_expensive(auto& pool, std::uint64_t rounds) {
    std::vector<item*> items(100);
    for (std::uint64_t round = 0; round < rounds; ++round) {
        for (item*& each : items) {
            each = pool.get();
            escape(std::make_unique<unsigned char[]>(sink_bytes).get());
            if ((allocated += sink_bytes) % cleanup_bytes != 0) continue;
            pool.tick();
            ++cleanups;
        }
        for (item*& each : items) pool.put(each);
    }
}

// The time from when all threads have warmed up to the last one's end.
std::chrono::nanoseconds timed(unsigned threads, auto prepare) {
    std::latch ready(threads), gate(1);
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i)
        running.emplace_back([&] {
            auto work = prepare();
            ready.count_down();
            gate.wait();
            work();
        });
    ready.wait();
    news = misses = 0;
    const auto begin = std::chrono::steady_clock::now();
    gate.count_down();
    for (std::thread& each : running) each.join();
    return std::chrono::steady_clock::now() - begin;
}

std::chrono::nanoseconds run_plain(std::size_t put, std::size_t get, unsigned threads, std::uint64_t each) {
    tidepool::object_pool pool([] { return ++news, item(); });
    std::vector<std::vector<item*>> hands;  // given back when the time has been taken
    std::atomic<unsigned> next = 0;
    for (unsigned i = 0; i < threads; ++i) {
        hands.emplace_back().reserve(in_hand * threads);
        while (hands.back().size() < in_hand) hands.back().push_back(pool.get());
    }
    const auto took = timed(threads, [&] {
        std::vector<item*>& hand = hands[next++];
        put_and_get(pool, hand, put, get, each / 10);
        return [&pool, &hand, put, get, each] { put_and_get(pool, hand, put, get, each); };
    });
    for (const auto& hand : hands)
        for (item* p : hand) pool.put(p);
    return took;
}

std::chrono::nanoseconds run_expensive(unsigned threads, std::uint64_t each) {
    tidepool::object_pool pool([] {
        ++news;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return item();
    });
    return timed(threads, [&] { return [&pool, each] { use_expensive(pool, each); }; });
}

bool run(std::string_view loop, unsigned threads, std::uint64_t rounds) {
    const std::uint64_t each = rounds / threads;
    std::chrono::nanoseconds took{};
    if (loop == "pool")
        took = run_plain(1, 1, threads, each);
    else if (loop == "overflow")
        took = run_plain(100, 100, threads, each);
    else if (loop == "starvation")
        took = run_plain(90, 100, threads, each);
    else if (loop == "expensive-new")
        took = run_expensive(threads, each);
    else
        return false;
    const double ns = static_cast<double>(took.count()) / static_cast<double>(each * threads);
    std::printf(
        "{\"name\": \"%s\", \"threads\": %u, \"ns\": %.3f, \"news\": %llu, \"misses\": %llu, \"cleanups\": %llu}\n",
        loop.data(), threads, ns, static_cast<unsigned long long>(news), static_cast<unsigned long long>(misses),
        static_cast<unsigned long long>(cleanups));
    return true;
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv) {
    const unsigned long threads = argc == 4 ? std::strtoul(argv[2], nullptr, 10) : 0;
    const std::uint64_t rounds = argc == 4 ? std::strtoull(argv[3], nullptr, 10) : 0;
    if (threads == 0 || rounds < threads || !bench::run(argv[1], static_cast<unsigned>(threads), rounds)) {
        std::fputs("usage: tidepool-go-loops pool|overflow|starvation|expensive-new THREADS ROUNDS\n", stderr);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

// A thread allocates and frees while it exits: in destructors of thread_local objects that run before and after the
// pool's own thread state ends, and in destructors of pthread keys, which run after all of those, in every round.
//
// Passes by exiting with 0.
#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "plain_books.hpp"
#include "scale.hpp"

namespace {

using programs::require;

std::optional<tidepool::pool_resource> pool;
std::optional<tidepool::object_pool<std::string>> objects;
std::atomic<int> teardowns{0};  // relaxed: a sum, read after all threads have been joined

void take_and_free() {
    constexpr std::size_t sizes[]{16, 64, 64, 64, 1000, 32'768, 100'000};
    void* blocks[std::size(sizes)];
    for (std::size_t i = 0; i < std::size(sizes); ++i) {
        blocks[i] = pool->allocate(sizes[i]);
        std::memset(blocks[i], 1, sizes[i]);
    }
    for (std::size_t i = 0; i < std::size(sizes); ++i) pool->deallocate(blocks[i], sizes[i]);
    std::vector<int, tidepool::allocator<int>> of_default(100, 7);
    require(of_default.back() == 7, "the default pool serves a thread that ends");
    *objects->borrow() = "an object that is put by a thread that ends";
}

// Holds blocks for the lifetime of the thread and frees them in its destructor, among other work.
class holder {
public:
    holder() = default;
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    ~holder() {
        take_and_free();
        for (const auto& [p, bytes] : held_) pool->deallocate(p, bytes);
        take_and_free();
        teardowns.fetch_add(1, std::memory_order_relaxed);
    }

    void hold() {
        for (std::size_t bytes = 16; bytes <= 50'000; bytes = bytes * 3 / 2)
            for (int i = 0; i < 3; ++i) held_.push_back({pool->allocate(bytes), bytes});
    }

private:
    struct block {
        void* p;
        std::size_t bytes;
    };
    std::vector<block> held_;
};

// In functions, so that each is constructed at its first use, and they are destroyed in reverse order. A thread_local
// object of the pool's own, if there is one, is destroyed between the two.
holder& touched_before_the_pool() {
    thread_local holder it;
    return it;
}
holder& touched_after_the_pool() {
    thread_local holder it;
    return it;
}

// A key's value counts the rounds that are left. POSIX lets a destructor set its key again, four rounds in all.
// ThreadSanitizer's own state of the thread is gone in the last one.
constexpr std::uintptr_t rounds = support::under_tsan ? 3 : 4;
pthread_key_t early_key, late_key;  // made before and after the pool's own thread state exists in the process

template <pthread_key_t& key>
void at_thread_exit(void* value) {
    take_and_free();
    teardowns.fetch_add(1, std::memory_order_relaxed);
    const std::uintptr_t left = reinterpret_cast<std::uintptr_t>(value) - 1;
    if (left != 0) pthread_setspecific(key, reinterpret_cast<void*>(left));
}

void arm(pthread_key_t key) { pthread_setspecific(key, reinterpret_cast<void*>(rounds)); }

void live() {
    holder& before = touched_before_the_pool();
    arm(early_key);
    take_and_free();
    holder& after = touched_after_the_pool();
    arm(late_key);
    before.hold();
    after.hold();
}

}  // namespace

int main() {
    require(pthread_key_create(&early_key, at_thread_exit<early_key>) == 0, "there is room for a key");
    programs::plain_books books;
    pool.emplace(books);
    objects.emplace();
    std::thread(take_and_free).join();
    require(pthread_key_create(&late_key, at_thread_exit<late_key>) == 0, "there is room for a key");

    constexpr int generations = 20, threads = 8;
    for (int i = 0; i < generations; ++i) {
        std::vector<std::thread> crew;
        for (int k = 0; k < threads; ++k) crew.emplace_back(live);
        for (std::thread& each : crew) each.join();
        if (i % 4 == 3) pool->tick();
    }
    // Two holders and two keys a thread.
    require(teardowns.load() == generations * threads * (2 + 2 * static_cast<int>(rounds)), "every destructor has run");
    require(pool->stats().blocks_in_use == 0, "no block was lost");
    require(pool->stats().large_blocks == 0, "no large block was lost");
    require(pool->stats().locals <= threads + 2, "slots of threads that ended are used again");

    pool->trim();
    require(books.used(), "the pool has used its upstream");
    require(books.balanced(), "trim gave back what ended threads had left");
    take_and_free();
    pool.reset();
    objects.reset();
    require(books.balanced(), "the upstream got everything back when the pool ended");
    return 0;
}

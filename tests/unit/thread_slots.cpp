// src: base/thread_slots.hpp
#include "base/thread_slots.hpp"

#include <doctest/doctest.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

#include "died.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;
namespace thread_slots = tidepool::detail::thread_slots;

TEST_CASE("a thread keeps its slot and finds it again") {
    std::thread([] {
        CHECK_FALSE(detail::this_thread->usable);  // a stand-in before the first use
        detail::thread_slot* mine = thread_slots::mine();
        CHECK(mine);
        CHECK((mine && mine->usable));
        CHECK(detail::this_thread == mine);
        CHECK(thread_slots::mine() == mine);
    }).join();
}

TEST_CASE("concurrent threads have distinct slots, numbered densely") {
    constexpr std::size_t threads = 150;
    const std::uint32_t before = thread_slots::count();
    std::vector<std::uint32_t> numbers(threads);
    std::barrier all_have_theirs(static_cast<std::ptrdiff_t>(threads));
    support::on_threads(threads, [&](std::size_t i) {
        numbers[i] = thread_slots::mine()->index;
        all_have_theirs.arrive_and_wait();
    });
    const std::set<std::uint32_t> distinct(numbers.begin(), numbers.end());
    CHECK(distinct.size() == threads);
    // Other threads of the process may hold a few slots, such as the main thread.
    CHECK(*distinct.rbegin() < std::max<std::size_t>(before, threads + 4));
    CHECK(thread_slots::count() == std::max(before, *distinct.rbegin() + 1));
}

TEST_CASE("slots of exited threads are reused, the lowest first") {
    std::uint32_t first = 0;
    std::thread([&] { first = thread_slots::mine()->index; }).join();
    const std::uint32_t count = thread_slots::count();
    std::atomic<std::size_t> elsewhere{0};
    for (std::size_t i = 0; i < support::scaled(5000); ++i)
        std::thread([&] {
            if (thread_slots::mine()->index != first) ++elsewhere;
        }).join();
    CHECK(elsewhere == 0);
    CHECK(thread_slots::count() == count);
}

TEST_CASE("no slot ever has two threads") {
    constexpr std::size_t lanes = 8, rounds = support::scaled(3000);
    static std::atomic<int> holders[thread_slots::slots_max];
    std::atomic<std::size_t> held_twice{0};
    support::on_threads(lanes, [&](std::size_t) {
        for (std::size_t i = 0; i < rounds; ++i)
            std::thread([&] {
                std::atomic<int>& mine = holders[thread_slots::mine()->index];
                if (mine.fetch_add(1) != 0) ++held_twice;
                std::this_thread::yield();
                mine.fetch_sub(1);
            }).join();
    });
    CHECK(held_twice == 0);
}

TEST_CASE("a destroyed pool is removed from every slot") {
    constexpr std::uint32_t index = detail::direct_pools - 1;  // no pool of this program has this index
    detail::local_head somewhere;
    detail::thread_slot* mine = thread_slots::mine();
    REQUIRE(mine);
    mine->pin_slots[index].set(somewhere);
    CHECK(&mine->pin_slots[index].get() == &somewhere);
    thread_slots::forget(index);
    CHECK(&mine->pin_slots[index].get() == &detail::no_local);
    CHECK(mine->bins() == detail::closed_bins.data());
}

TEST_CASE("an exiting thread that released its slot gets no other") {
    static_cast<void>(
        thread_slots::mine());  // makes the key of thread_slots before ours, so that its destructor runs first
    static std::atomic<int> seen{0};
    pthread_key_t key{};
    REQUIRE(pthread_key_create(&key, [](void*) { seen = thread_slots::mine() ? 1 : 2; }) == 0);
    std::thread([&] {
        static_cast<void>(thread_slots::mine());
        pthread_setspecific(key, &seen);
    }).join();
    CHECK(seen == 2);
    CHECK(pthread_key_delete(key) == 0);
}

TEST_CASE("check() finds a slot that is not in its place") {
    detail::thread_slot* mine = thread_slots::mine();
    REQUIRE(mine);
    thread_slots::check();
    CHECK(support::died([&] {
              ++mine->index;
              thread_slots::check();
          }).said("is not in its place"));
}

TEST_CASE("a thread is alone until another one has a slot, and when that has exited") {
    const support::death child = support::died([] {  // where no other test has left threads
        if (!thread_slots::alone()) std::_Exit(2);
        thread_slots::mine();
        if (!thread_slots::alone()) std::_Exit(3);
        std::thread([] {
            if (thread_slots::alone()) std::_Exit(4);
            thread_slots::mine();
            if (thread_slots::alone()) std::_Exit(5);
        }).join();
        if (!thread_slots::alone()) std::_Exit(6);
    });
    CHECK((support::under_tsan || child.exit_status == 0));
}

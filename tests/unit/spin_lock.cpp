// src: base/spin_lock.hpp, base/waiting.hpp
#include "base/spin_lock.hpp"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <string>
#include <thread>

#include "base/lock_guard.hpp"
#include "base/waiting.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;

using namespace std::chrono_literals;

namespace {

// As the system sees it: "S" if the thread sleeps, "R" if it runs or yields.
std::string state_of(long thread) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string number, name, state;
    file >> number >> name >> state;
    return state;
}

}  // namespace

TEST_CASE("who waits for a lock sleeps after a moment, and is woken up") {
    detail::spin_lock lock(detail::lock_rank::stock);
    std::atomic<long> waiter{0};
    std::atomic<bool> through{false};
    lock.lock();
    std::thread other([&] {
        waiter = ::syscall(SYS_gettid);
        const detail::lock_guard hold(lock);
        through = true;
    });
    // A waiter that yields is never seen asleep.
    const auto patience = std::chrono::steady_clock::now() + 1min;
    while ((waiter == 0 || state_of(waiter) != "S") && std::chrono::steady_clock::now() < patience)
        std::this_thread::yield();
    CHECK(state_of(waiter) == "S");
    CHECK_FALSE(through);
    lock.unlock();
    other.join();
    CHECK(through);
    const bool is_free = lock.try_lock();
    CHECK(is_free);
    if (is_free) lock.unlock();
}

TEST_CASE("of many waiters none is forgotten, and one at a time is inside") {
    constexpr std::size_t threads = 8;
    detail::spin_lock lock(detail::lock_rank::stock);
    std::size_t counted = 0;  // plain on purpose
    support::on_threads(threads, [&](std::size_t) {
        for (std::size_t i = 0; i < support::scaled(20'000); ++i) {
            const detail::lock_guard hold(lock);
            ++counted;
            // Now and then a holder does not run for a while.
            if (i % 4096 == 0) std::this_thread::sleep_for(100us);
        }
    });
    CHECK(counted == threads * support::scaled(20'000));
}

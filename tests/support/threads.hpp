// Threads that start together.
#pragma once

#include <cstddef>
#include <latch>
#include <thread>
#include <vector>

namespace support {

// Runs body(0) … body(count - 1), each on its own thread. None begins before all exist. Returns when all have ended.
template <class Body>
void on_threads(std::size_t count, const Body& body) {
    std::latch ready(static_cast<std::ptrdiff_t>(count));
    std::vector<std::jthread> threads;
    threads.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            ready.arrive_and_wait();
            body(i);
        });
}

}  // namespace support

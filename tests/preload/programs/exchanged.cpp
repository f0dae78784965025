// Threads allocate, grow and shrink blocks, write to all that they asked for, and free each other's, so that neighbours
// come and go all the time. A hardened malloc, which looks in front of each block that is freed, once took a neighbour
// that was just being given out for an underflow.
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

std::array<std::atomic<char*>, 256> exchange{};

void live(unsigned number) {
    unsigned state = number * 7919 + 1;
    const std::size_t rounds = support::scaled(300'000);
    for (std::size_t i = 0; i < rounds; ++i) {
        state = state * 1664525 + 1013904223;
        const unsigned dice = state >> 8;
        std::size_t bytes = 1 + dice % ((dice & 1) != 0 ? 200 : 3000);
        char* p = static_cast<char*>(std::malloc(bytes));
        require(p, "there is memory");
        if (dice % 5 == 0) {
            bytes = bytes * (1 + dice % 3) / 2 + 1;
            p = static_cast<char*>(std::realloc(p, bytes));
            require(p, "there is memory for realloc");
        }
        std::memset(p, static_cast<int>(number), bytes);
        std::free(exchange[(dice >> 4) % exchange.size()].exchange(p, std::memory_order_acq_rel));
    }
}

}  // namespace

int main() {
    std::array<std::thread, 4> threads;
    for (unsigned i = 0; i < threads.size(); ++i) threads[i] = std::thread(live, i);
    for (std::thread& each : threads) each.join();
    for (auto& each : exchange) std::free(each.load(std::memory_order_relaxed));
}

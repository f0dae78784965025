// A hundred thousand threads start and exit, eight at a time, and memory stays flat.
#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

std::atomic<void*> passed_on{nullptr};  // a block that passes between threads

extern "C" void* live(void* argument) {
    const auto number = reinterpret_cast<std::uintptr_t>(argument);
    void* blocks[30];
    for (std::size_t i = 0; i < 30; ++i) blocks[i] = take(mixed_size(number + i));
    for (void* p : blocks) std::free(p);
    std::free(passed_on.exchange(take(mixed_size(number)), std::memory_order_acq_rel));
    return nullptr;
}

}  // namespace

int main() {
    pthread_attr_t small;  // small stacks, which libc reuses: three times as fast
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    const std::size_t flights = support::scaled(100'000) / 8;
    std::size_t early = 0;
    for (std::size_t flight = 0; flight < flights; ++flight) {
        std::array<pthread_t, 8> threads;
        for (std::size_t i = 0; i < threads.size(); ++i)
            require(pthread_create(&threads[i], &small, live, reinterpret_cast<void*>(flight * 8 + i)) == 0,
                    "there is a thread");
        for (const pthread_t thread : threads) pthread_join(thread, nullptr);
        if (flight == flights / 5) early = resident_bytes();
    }
    require_at_most(resident_bytes(), early + 4 * mib, "resident after all threads");
    std::free(passed_on.load());
}

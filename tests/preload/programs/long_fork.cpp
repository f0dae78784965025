// A fork takes long, in a handler that comes after the shim's, while other threads go on allocating blocks of all
// kinds. None is refused.
#include <pthread.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "program.hpp"

using namespace programs;

// Before the constructors of all libraries. Prepare handlers run in the order opposite to that of their registration.
void register_sleep() {
    pthread_atfork([] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }, nullptr, nullptr);
}
__attribute__((section(".preinit_array"), used)) void (*const first_of_all)() = register_sleep;

int main() {
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            for (std::size_t i = t; !over; ++i) {
                void* large = take(40'000 + i * 997 % 100'000);
                void* zeroed = std::calloc(1, 50'000);
                require(zeroed && static_cast<char*>(zeroed)[0] == 0 &&
                            !std::memcmp(zeroed, static_cast<char*>(zeroed) + 1, 49'999),
                        "calloc gives zeroes");
                void* aligned = std::aligned_alloc(256, 51'200);
                require(aligned && reinterpret_cast<std::uintptr_t>(aligned) % 256 == 0, "what is aligned is so");
                void* moved = std::realloc(take(mixed_size(i)), 70'000);
                require(moved, "there is memory to grow");
                for (void* each : {large, zeroed, aligned, moved}) std::free(each);
            }
        });
    for (int i = 0; i < 30; ++i) {
        const pid_t child = fork();
        require(child >= 0, "fork works");
        if (child == 0) _exit(0);
        int status = -1;
        require(waitpid(child, &status, 0) == child && status == 0, "the child ends");
    }
    over = true;
    for (std::thread& each : threads) each.join();
}

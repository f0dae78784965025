// A thread with a real-time priority and three without one share a processor, and all allocate. Whoever waits for a
// lock or a visitor sleeps: the real-time thread would otherwise keep the processor from whom it waits for, and each
// wait would last until the system throttles it, for up to a second. It has a minute for two thousand turns.
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "program.hpp"

namespace {

using programs::require;

constexpr int turns = 2000;
std::atomic<bool> done{false};

// On the last processor that the process may use. False if there is none to be had.
bool stay_on_one_processor() {
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0) return false;
    int last = CPU_SETSIZE - 1;
    while (last > 0 && !CPU_ISSET(static_cast<unsigned>(last), &all)) --last;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(last), &one);
    return pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0;
}

void use_malloc(std::vector<void*>& blocks) {
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = std::malloc(64 + i * 48 % 3000);
    for (void* each : blocks) std::free(each);
}

}  // namespace

int main() {
    if (!stay_on_one_processor()) return 77;
    std::vector<std::thread> others;
    for (int i = 0; i < 3; ++i)
        others.emplace_back([] {
            std::vector<void*> blocks(40'000);
            while (!done) use_malloc(blocks);
        });
    const sched_param urgent{.sched_priority = 50}, normal{.sched_priority = 0};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &urgent) != 0) {
        std::fprintf(stderr, "skipped: no real-time priority is allowed\n");
        std::_Exit(77);
    }
    alarm(60);
    std::vector<void*> blocks(1000);
    for (int turn = 0; turn < turns; ++turn) {
        const timespec nap{0, 200'000};
        nanosleep(&nap, nullptr);
        use_malloc(blocks);
    }
    require(pthread_setschedparam(pthread_self(), SCHED_OTHER, &normal) == 0, "the priority can be lowered");
    done = true;
    for (std::thread& each : others) each.join();
}

// Threads allocate and free while they exit: in destructors of thread_local objects, and in destructors of pthread keys
// that run after the malloc's own, in every round. The memory of an exited thread is reused, so memory stays flat.
#include <pthread.h>

#include <atomic>
#include <climits>
#include <string>
#include <thread>
#include <vector>

#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

pthread_key_t key;                         // made in main, hence after any key that the malloc made when it was loaded
std::atomic<std::size_t> last_moments{0};  // relaxed: a sum, read after all threads have been joined
std::atomic<void*> left_behind{nullptr};   // allocated while a thread exits, freed by another thread

void take_and_free() {
    void* blocks[40];
    for (std::size_t i = 0; i < 40; ++i) blocks[i] = take(mixed_size(i));
    for (void* p : blocks) std::free(p);
}

struct at_thread_exit {
    std::vector<std::string> lines;
    at_thread_exit() = default;
    at_thread_exit(const at_thread_exit&) = delete;
    at_thread_exit& operator=(const at_thread_exit&) = delete;
    ~at_thread_exit() {
        take_and_free();
        lines.emplace_back(500, 'z');
    }
};

struct of_key {
    int rounds_left;
    void* held;
};

extern "C" void on_key(void* value) {
    auto* mine = static_cast<of_key*>(value);
    take_and_free();
    std::free(mine->held);
    mine->held = take(3000);
    if (--mine->rounds_left > 0) {
        pthread_setspecific(key, mine);
        return;
    }
    // The last destructor of this thread.
    std::free(left_behind.exchange(mine->held, std::memory_order_acq_rel));
    std::free(mine);
    last_moments.fetch_add(1, std::memory_order_relaxed);
}

void live_and_die() {
    thread_local at_thread_exit object;
    object.lines.emplace_back(100, 'a');
    auto* mine = static_cast<of_key*>(take(sizeof(of_key)));
    *mine = {PTHREAD_DESTRUCTOR_ITERATIONS, take(200)};
    pthread_setspecific(key, mine);
    for (std::size_t i = 0; i < 60; ++i) object.lines.emplace_back(mixed_size(i), 'b');
    take_and_free();
}

}  // namespace

int main() {
    require(pthread_key_create(&key, on_key) == 0, "there is a key");
    const std::size_t rounds = support::scaled(1500);
    std::size_t early = 0;
    for (std::size_t round = 0; round < rounds; ++round) {
        std::thread one(live_and_die), other(live_and_die);
        one.join();
        other.join();
        if (round == rounds / 4) early = resident_bytes();
    }
    require_at_most(resident_bytes(), early + 4 * mib, "no thread leaves anything behind");
    require(last_moments.load() == 2 * rounds, "every thread has ended in the last round of its key's destructor");
    std::free(left_behind.load());
}

// A thread that is to be cancelled goes on to its next cancellation point, and no function of malloc's is one: not the
// first call in the process, nor one that waits, ticks or writes.
#include <malloc.h>
#include <pthread.h>

#include <atomic>
#include <new>

#include "program.hpp"

namespace {

using programs::require;

constexpr int threads = 8, rounds = 300;
std::atomic<int> through{0};  // relaxed: read after all threads have been joined

void use_malloc() {
    void* blocks[40];
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < 40; ++i) blocks[i] = programs::take(programs::mixed_size(i));
        for (void* p : blocks) std::free(p);
        std::free(std::malloc(100'000));
        std::free(std::realloc(std::malloc(40'000), 400'000));
        ::operator delete(::operator new(200'000));
        if (round % 30 == 0) malloc_trim(0);
    }
    require(mallinfo2().arena > 0, "there is memory from the system");
}

void* work(void* says) {
    pthread_cancel(pthread_self());
    std::free(std::malloc(100'000));
    use_malloc();
    if (says) malloc_stats();  // one thread only: several at once are cancelled in glibc's
    through.fetch_add(1, std::memory_order_relaxed);
    pthread_testcancel();
    return nullptr;
}

}  // namespace

int main() {
    pthread_t started[threads];
    for (pthread_t& each : started)
        require(pthread_create(&each, nullptr, work, &each == started ? &each : nullptr) == 0, "a thread can start");
    for (pthread_t each : started) {
        void* result;
        pthread_join(each, &result);
        require(result == PTHREAD_CANCELED, "each thread is cancelled");
    }
    require(through == threads, "none is cancelled by a function of malloc's");
}

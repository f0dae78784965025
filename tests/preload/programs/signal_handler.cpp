// A signal handler allocates and frees while the main thread is in malloc's slow path: in all size classes, in steals,
// in ticks (run it with TIDEPOOL_DECAY_MS=1) and in malloc_trim. The C standard does not promise that this works, and
// glibc deadlocks; the shim promises it.
//
//   signal_handler           a handler is never interrupted by another
//   signal_handler nested    a handler may be interrupted while it allocates
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

std::atomic<std::size_t> handled{0};          // handlers run by the sender's signal; it waits for each
std::array<std::atomic<void*>, 64> places{};  // blocks that handlers leave for any thread to free
std::atomic<bool> done{false};

void take_and_free(std::size_t from) {
    void* blocks[6];
    for (std::size_t i = 0; i < 6; ++i) {
        const std::size_t bytes = mixed_size(from * 5 + i * 7);
        blocks[i] = take(bytes);
        std::memset(blocks[i], static_cast<int>(from), bytes);
    }
    for (std::size_t i = 0; i < 5; ++i) std::free(blocks[i]);
    std::free(places[from % places.size()].exchange(blocks[5], std::memory_order_acq_rel));
}

extern "C" void on_signal(int signal) {
    const int saved = errno;
    static std::atomic<std::size_t> calls{0};
    take_and_free(calls.fetch_add(1, std::memory_order_relaxed));
    if (signal == SIGUSR1) handled.fetch_add(1, std::memory_order_release);
    errno = saved;
}

void a_moment() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

// Empties and fills the caches of all classes.
void churn(std::size_t round) {
    constexpr std::size_t count = 600;
    static std::array<void*, count> blocks;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bytes = 16 + (round * 977 + i * 131) % 32'752;
        blocks[i] = i % 3 ? std::malloc(bytes) : std::calloc(1, bytes);
        require(blocks[i], "there is memory");
        std::memset(blocks[i], static_cast<int>(i), bytes);
    }
    for (std::size_t i = 0; i < count; i += 2) {
        blocks[i] = std::realloc(blocks[i], 16 + (round + i * 71) % 32'752);
        require(blocks[i], "there is memory to grow");
    }
    for (std::size_t i = 0; i < count; ++i) std::free(blocks[(i * 7 + round) % count]);
    if (round % 4 == 0) malloc_trim(0);
}

}  // namespace

int main(int argc, char** argv) {
    const bool nested = argc > 1 && std::strcmp(argv[1], "nested") == 0;
    alarm(100);  // a deadlock ends here
    const std::size_t signals = support::scaled(5000);

    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    if (!nested) sigfillset(&action.sa_mask);
    require(sigaction(SIGUSR1, &action, nullptr) == 0 && sigaction(SIGUSR2, &action, nullptr) == 0, "handlers are set");

    // Only the main thread receives the timer's signals.
    sigset_t timer_signal;
    sigemptyset(&timer_signal);
    sigaddset(&timer_signal, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &timer_signal, nullptr);
    const pthread_t main_thread = pthread_self();
    // Each signal is waited for, which takes long on a busy machine: then fewer signals must be enough.
    std::thread sender([=] {
        const auto begin = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < signals && std::chrono::steady_clock::now() - begin < std::chrono::seconds(8);
             ++i) {
            pthread_kill(main_thread, SIGUSR1);
            while (handled.load(std::memory_order_acquire) <= i) a_moment();
        }
        done.store(true);
    });
    // A thread to steal from, and one that steals.
    std::thread neighbour([] {
        for (std::size_t i = 0; !done.load(std::memory_order_relaxed); ++i) {
            take_and_free(i);
            if (i % 1000 == 0) a_moment();
        }
    });
    pthread_sigmask(SIG_UNBLOCK, &timer_signal, nullptr);

    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR2;
    timer_t timer;
    require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "there is a timer");
    const timespec period{0, 150'000};
    const itimerspec often{period, period};
    require(timer_settime(timer, 0, &often, nullptr) == 0, "the timer runs");

    for (std::size_t round = 0; !done.load(std::memory_order_relaxed); ++round) churn(round);

    timer_delete(timer);
    sender.join();
    neighbour.join();
    for (auto& place : places) std::free(place.load());
}

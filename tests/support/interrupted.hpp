// Threads and processes that stop at any moment: for programs that find out whether the others go on.
//
//  park()  a thread is stopped by a signal, wherever it is (in a hit, a slow section, under a lock), while others take,
//          free, trim, tick, start, exit and fork; and goes on after that, or, where they wait for what it holds, after
//          half a second.
//  stop()  a process and its children are stopped and continued by SIGSTOP and SIGCONT at random moments.
//
// A `Work` has static members: use(), which takes and frees blocks and ends the program where their contents are wrong;
// and return_all(), which trims and ticks. Both are called by any thread.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace interrupted {

inline void require(bool holds, const char* what) noexcept {
    if (holds) return;
    std::fprintf(stderr, "check failed: %s\n", what);
    std::_Exit(1);
}
inline void nap(long microseconds) noexcept {
    const timespec t{0, microseconds * 1000};
    nanosleep(&t, nullptr);
}

// All lock-free, for a signal handler.
inline std::atomic<bool> parked{false}, released{false}, over{false};
inline std::atomic<unsigned> rounds_begun{0}, rounds_done{0};

inline void stay(int) noexcept {
    const int before = errno;
    parked = true;
    while (!released) nap(100);
    parked = false;
    errno = before;
}

template <class Work>
void require_child(bool stopped) noexcept {
    const pid_t child = fork();
    require(child >= 0, "there is a child");
    if (child == 0) {
        alarm(120);
        Work::use();
        Work::return_all();
        Work::use();
        _exit(0);
    }
    for (int i = 0; stopped && i < 3; ++i) {
        kill(child, SIGSTOP);
        nap(300);
        kill(child, SIGCONT);
        nap(100);
    }
    int status = -1;
    require(waitpid(child, &status, 0) == child && status == 0, "a child ends well");
}

template <class Work>
void* use_once(void*) noexcept {
    Work::use();
    return nullptr;
}
template <class Work>
void* use_until_over(void*) noexcept {
    while (!over) Work::use();
    return nullptr;
}
// What others do while one is parked, a round each time.
template <class Work>
void* visit(void*) noexcept {
    for (unsigned done = 0; !over;) {
        if (rounds_begun == done) {
            nap(100);
            continue;
        }
        Work::use();
        Work::return_all();
        pthread_t thread;
        require(pthread_create(&thread, nullptr, use_once<Work>, nullptr) == 0, "a thread starts");
        pthread_join(thread, nullptr);
        require_child<Work>(false);
        rounds_done = ++done;
    }
    return nullptr;
}

template <class Work>
void park(unsigned rounds) noexcept {
    struct sigaction action {};
    action.sa_handler = stay;
    require(sigaction(SIGUSR1, &action, nullptr) == 0, "the signal is handled");
    pthread_t owner, visitor;
    require(pthread_create(&owner, nullptr, use_until_over<Work>, nullptr) == 0, "a thread starts");
    require(pthread_create(&visitor, nullptr, visit<Work>, nullptr) == 0, "a thread starts");
    unsigned waited_for = 0;
    for (unsigned round = 1; round <= rounds; ++round) {
        nap(round * 977 % 3000);
        released = false;
        require(pthread_kill(owner, SIGUSR1) == 0, "the signal is sent");
        while (!parked) nap(100);
        rounds_begun = round;
        for (int i = 0; i < 500 && rounds_done != round; ++i) nap(1000);
        waited_for += rounds_done != round;
        released = true;
        while (parked || rounds_done != round) nap(100);
    }
    over = true;
    pthread_join(owner, nullptr);
    pthread_join(visitor, nullptr);
    over = false;
    std::printf("others waited for the one that was parked in %u of %u rounds\n", waited_for, rounds);
}

template <class Work>
void stop(unsigned rounds) noexcept {
    std::fflush(stdout);
    const pid_t child = fork();
    require(child >= 0, "there is a child");
    if (child == 0) {
        alarm(200);
        pthread_t threads[2];
        for (pthread_t& each : threads)
            require(pthread_create(&each, nullptr, use_until_over<Work>, nullptr) == 0, "a thread starts");
        for (unsigned i = 0; i < rounds; ++i) {
            Work::return_all();
            require_child<Work>(true);
        }
        over = true;
        for (const pthread_t each : threads) pthread_join(each, nullptr);
        _exit(0);
    }
    int status = -1;
    std::uint32_t random = 12345;
    unsigned stops = 0;
    for (; waitpid(child, &status, WNOHANG) == 0; ++stops) {
        random = random * 1664525 + 1013904223;
        kill(child, SIGSTOP);
        nap(random >> 16 & 1023);
        kill(child, SIGCONT);
        nap(2000 + (random >> 8 & 4095));
    }
    if (status != 0) std::fprintf(stderr, "status %x after %u stops\n", static_cast<unsigned>(status), stops);
    require(status == 0, "the process that is stopped and continued ends well");
    std::printf("stopped and continued %u times\n", stops);
}

}  // namespace interrupted

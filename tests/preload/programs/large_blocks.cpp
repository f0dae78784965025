// Large blocks: what is freed serves the next requests without page faults, leaves the process after two ticks, by
// malloc_trim() or when memory is short, and is neither lost in a realloc() nor found in a calloc(). Threads, and the
// children of a fork, have blocks of their own, and so have signal handlers, wherever they interrupt malloc.
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

#include <tidepool/detail/config.hpp>

#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

constexpr std::size_t kib = 1024;

long faults() {
    rusage use{};
    require(getrusage(RUSAGE_SELF, &use) == 0, "page faults are counted");
    return use.ru_minflt;
}

// Mimalloc and jemalloc have ways of their own, and so have hardened builds, in which blocks move and rest.
bool from_regions() {
    const char* flavour = std::getenv("TIDEPOOL_TESTS_SHIM");
    return !tidepool::detail::hardened && flavour &&
           (std::string_view(flavour) == "libc" || std::string_view(flavour) == "pages");
}

// Two blocks of each size in turn, so that libc would trim and grow its heap.
void take_and_free(std::size_t most) {
    for (std::size_t bytes = 40 * kib; bytes <= most; bytes += bytes / 3) {
        void* first = take(bytes);
        void* second = take(bytes);
        std::free(first);
        std::free(second);
    }
}

void sizes_change_and_bytes_stay() {
    constexpr std::size_t sizes[]{100,      40 * kib, 64 * kib,  65 * kib, 4 * mib, 4 * mib + 1, 9 * mib,  300 * kib,
                                  33 * kib, 20 * kib, 700 * kib, 3 * mib,  5 * mib, 4 * mib,     50 * kib, 10};
    std::size_t had = 0;
    unsigned char* p = nullptr;
    for (const std::size_t bytes : sizes) {
        p = static_cast<unsigned char*>(std::realloc(p, bytes));
        require(p && malloc_usable_size(p) >= bytes, "realloc() gives what it is asked for");
        for (std::size_t i = 0; i < had && i < bytes; ++i)
            require(p[i] == static_cast<unsigned char>(i * 7 + i / 251), "realloc() keeps the bytes");
        for (std::size_t i = 0; i < bytes; ++i) p[i] = static_cast<unsigned char>(i * 7 + i / 251);
        had = bytes;
    }
    std::free(p);
}

void zeroed_blocks_are_zero() {
    for (std::size_t bytes = 33 * kib; bytes < 6 * mib; bytes += bytes / 2) {
        void* dirty = take(bytes);
        std::memset(dirty, 1, bytes);
        std::free(dirty);
        auto* p = static_cast<char*>(std::calloc(bytes, 1));
        require(p && p[0] == 0 && std::memcmp(p, p + 1, bytes - 1) == 0, "calloc() gives zeroes");
        std::free(p);
    }
}

void aligned_blocks_are_aligned() {
    for (std::size_t alignment = 16; alignment <= 4 * mib; alignment *= 2) {
        void* p = aligned_alloc(alignment, 100 * kib);
        require(p && reinterpret_cast<std::size_t>(p) % alignment == 0, "a block is aligned");
        std::memset(p, 1, 100 * kib);
        std::free(p);
    }
}

// A block with its size and a mark at the beginning, and another mark in each page and at the end.
struct marked {
    static constexpr std::size_t least = 2 * sizeof(std::size_t);

    static void* make(std::size_t bytes, std::size_t mark) {
        auto* p = static_cast<unsigned char*>(take(bytes));
        for (std::size_t at = 0; at < bytes; at += 4 * kib) p[at] = static_cast<unsigned char>(mark);
        p[bytes - 1] = static_cast<unsigned char>(mark);
        std::memcpy(p, std::array{bytes, mark}.data(), least);
        return p;
    }
    static void check_and_free(void* block) {
        if (!block) return;
        const auto* p = static_cast<const unsigned char*>(block);
        std::array<std::size_t, 2> its;
        std::memcpy(its.data(), p, least);
        for (std::size_t at = 4 * kib; at < its[0]; at += 4 * kib)
            require(p[at] == static_cast<unsigned char>(its[1]), "a block holds what its owner wrote");
        if (its[0] > least)
            require(p[its[0] - 1] == static_cast<unsigned char>(its[1]),
                    "a block holds what its owner wrote, to its end");
        std::free(block);
    }
};

// From 16 B to 512 KiB, each power of two as often.
std::size_t any_size(std::mt19937& random) {
    return static_cast<std::size_t>(16 * std::exp2(std::uniform_real_distribution<>(0, 15)(random)));
}

std::atomic<bool> done{false};
std::array<std::atomic<void*>, 64> shared{};  // blocks that pass between threads

// Until `rounds` are over, or it is done.
void churn(std::size_t me, std::size_t rounds) {
    std::mt19937 random(static_cast<std::uint32_t>(me));
    std::vector<void*> own(200);
    for (std::size_t i = 0; i < rounds && !done.load(std::memory_order_relaxed); ++i) {
        void*& place = own[random() % own.size()];
        marked::check_and_free(place);
        place = marked::make(any_size(random), i * 31 + me);
        if (i % 4 == 0) place = shared[random() % shared.size()].exchange(place, std::memory_order_acq_rel);
    }
    for (void* p : own) marked::check_and_free(p);
}

void free_shared() {
    for (auto& place : shared) marked::check_and_free(place.exchange(nullptr));
}

void threads_have_blocks_of_their_own(std::size_t rounds) {
    std::thread other(churn, 1, rounds);
    churn(2, rounds);
    other.join();
    free_shared();
}

void children_have_blocks_of_their_own() {
    std::vector<std::thread> others;
    for (std::size_t i = 0; i < 3; ++i) others.emplace_back(churn, 10 + i, static_cast<std::size_t>(-1));
    for (std::size_t round = 0; round < support::scaled(20); ++round) {
        void* inherited = marked::make(200 * kib, round);
        const pid_t child = fork();
        require(child >= 0, "fork works");
        if (child == 0) {
            alarm(60);  // a deadlock ends here
            marked::check_and_free(inherited);
            churn(100 + round, 300);
            malloc_trim(0);
            churn(200 + round, 300);
            std::_Exit(0);
        }
        marked::check_and_free(inherited);
        int status = -1;
        require(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
                "the child has ended well");
    }
    done = true;
    for (std::thread& each : others) each.join();
    done = false;
    free_shared();
}

std::array<std::atomic<void*>, 64> made_by_handler{}, for_handler{};
std::atomic<std::size_t> handled{0};

// Frees what the program has made, and makes what the program frees.
extern "C" void on_signal(int) {
    const int saved = errno;
    const std::size_t number = handled.fetch_add(1, std::memory_order_relaxed), place = number % for_handler.size();
    marked::check_and_free(for_handler[place].exchange(nullptr, std::memory_order_acq_rel));
    void* nothing = nullptr;
    void* fresh = marked::make((40 + number % 100) * kib, number);
    made_by_handler[place].compare_exchange_strong(nothing, fresh);  // or it is lost: it may be libc's, and in its way
    errno = saved;
}

void handlers_have_blocks_of_their_own() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    require(sigaction(SIGPROF, &action, nullptr) == 0, "a handler is set");
    const itimerval often{{0, 1000}, {0, 1000}}, never{};
    require(setitimer(ITIMER_PROF, &often, nullptr) == 0, "a timer is set");
    std::mt19937 random(7);
    std::vector<void*> own(50);
    for (std::size_t i = 0; handled.load(std::memory_order_relaxed) < support::scaled(200); ++i) {
        void*& place = own[random() % own.size()];
        marked::check_and_free(place);
        place = marked::make(33 * kib + any_size(random) / 2, i);
        const std::size_t other = i % for_handler.size();
        place = for_handler[other].exchange(place, std::memory_order_acq_rel);
        marked::check_and_free(made_by_handler[other].exchange(nullptr, std::memory_order_acq_rel));
        if (i % 64 == 0) malloc_trim(0);
    }
    require(setitimer(ITIMER_PROF, &never, nullptr) == 0, "the timer is stopped");
    for (auto* each : {&made_by_handler, &for_handler})
        for (auto& place : *each) marked::check_and_free(place.exchange(nullptr));
    for (void* p : own) marked::check_and_free(p);
}

std::size_t virtual_bytes() {
    std::FILE* statm = std::fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    require(statm && std::fscanf(statm, "%lu", &pages) == 1, "/proc/self/statm can be read");
    std::fclose(statm);
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// In a child, because the limit stays.
void what_is_idle_goes_before_a_request_fails() {
    const pid_t child = fork();
    require(child >= 0, "fork works");
    if (child == 0) {
        const rlim_t most = virtual_bytes() + 512 * mib;
        const rlimit limit{most, most};
        require(setrlimit(RLIMIT_AS, &limit) == 0, "the limit is set");
        for (const std::size_t bytes : {100 * kib, 3 * mib, 33 * kib, 60 * mib}) {
            static std::array<void*, 20'000> blocks;
            std::size_t count = 0;
            errno = 0;
            while (count < blocks.size() && (blocks[count] = std::malloc(bytes))) ++count;
            require(count < blocks.size() && errno == ENOMEM, "the request that fails has set ENOMEM");
            require_at_most(300 * mib, count * bytes, "bytes that should be had at least");
            void* kept = blocks[0];
            std::memset(kept, 1, bytes);
            errno = 0;
            require(!std::realloc(kept, 600 * mib) && errno == ENOMEM, "so has the realloc()");
            require(static_cast<char*>(kept)[bytes - 1] == 1, "which left the block as it was");
            for (std::size_t i = 1; i < count; ++i) std::free(blocks[i]);
            if (shim_promises()) {
                kept = std::realloc(kept, 200 * mib);
                require(kept && static_cast<char*>(kept)[bytes - 1] == 1, "what is idle serves a realloc()");
            }
            std::free(kept);
        }
        std::_Exit(0);
    }
    int status = -1;
    require(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
            "a child with little memory has ended well");
}

void trim_returns_what_is_idle() {
    malloc_trim(0);
    const std::size_t before = resident_bytes();
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < 100; ++i) blocks.push_back(take(500 * kib));
    require(resident_bytes() > before + 40 * mib, "blocks that were written to are resident");
    for (void* p : blocks) std::free(p);
    require(malloc_trim(0) == 1, "malloc_trim() returns memory");
    require_at_most(resident_bytes(), before + mib, "bytes resident after malloc_trim()");
}

void a_block_grows_where_it_is() {
    void* p = take(100 * kib);
    void* moved = std::realloc(p, 40 * kib);
    require(moved == p, "a block shrinks where it is");
    require(malloc_usable_size(p) < 41 * kib + 4 * kib, "and has fewer bytes then");
    require(std::realloc(p, 90 * kib) == p, "and grows where it is");
    std::free(p);
}

}  // namespace

int main() {
    sizes_change_and_bytes_stay();
    zeroed_blocks_are_zero();
    aligned_blocks_are_aligned();
    threads_have_blocks_of_their_own(support::scaled(2000));
    children_have_blocks_of_their_own();
    what_is_idle_goes_before_a_request_fails();
    if (shim_promises()) handlers_have_blocks_of_their_own();
    if (!from_regions()) return 0;

    a_block_grows_where_it_is();
    trim_returns_what_is_idle();
    const std::size_t before = resident_bytes();
    take_and_free(4 * mib);
    long until_now = faults();
    for (int i = 0; i < 20; ++i) take_and_free(4 * mib);
    require_at_most(static_cast<std::size_t>(faults() - until_now), 200, "page faults for blocks that were there");
    // 400 blocks that are live at a time have 20 MiB; glibc's malloc takes a hundred thousand page faults.
    malloc_trim(0);
    until_now = faults();
    threads_have_blocks_of_their_own(50'000);
    require_at_most(static_cast<std::size_t>(faults() - until_now), 20'000, "page faults for mixed blocks");
    // Idle for two ticks of 200 ms, which light work performs.
    for (int i = 0; i < 200; ++i) {
        usleep(5000);
        std::free(take(40 * kib));
    }
    require_at_most(resident_bytes(), before + 4 * mib, "bytes resident two ticks later");
}

// Forks while other threads allocate, free and tick. Each child allocates and frees at once, finds the idle blocks of
// those threads, starts threads, and forks again.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "scale.hpp"

#include <tidepool/tidepool.hpp>

namespace {

constexpr std::size_t sizes[] = {16, 48, 200, 1000, 5000, 32'768, 60'000};

// Allocates blocks of all sizes, writes to them and frees them. Returns false if one did not keep its contents.
bool works(tidepool::pool_resource& pool, std::size_t rounds) {
    struct held {
        unsigned char* at;
        std::size_t bytes;
    };
    std::vector<held, tidepool::allocator<held>> blocks;
    for (std::size_t i = 0; i < rounds; ++i) {
        for (const std::size_t bytes : sizes) {
            auto* p = static_cast<unsigned char*>(pool.allocate(bytes));
            std::memset(p, static_cast<int>(bytes % 251), bytes);
            blocks.push_back({p, bytes});
        }
    }
    bool whole = true;
    for (const held& each : blocks) {
        whole = whole && each.at[0] == each.bytes % 251 && each.at[each.bytes - 1] == each.bytes % 251;
        pool.deallocate(each.at, each.bytes);
    }
    return whole;
}

// Runs `work` in a child and returns its exit status.
template <class Work>
int in_child(Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);  // a deadlock ends the child
        ::_exit(work() ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status = -1;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
    return status;
}

bool child_works(tidepool::pool_resource& pool, bool nested) {
    bool whole = works(pool, 3);
    pool.tick();
    // The next thread gets the local of a thread that does not exist in the child.
    std::atomic<bool> others{true};
    std::thread([&] { others = works(pool, 3); }).join();
    whole = whole && others;
    if (nested) whole = whole && in_child([&] { return child_works(pool, false); }) == 0;
    pool.trim();
    return whole && pool.stats().bytes_cached == 0;
}

}  // namespace

int main() {
    // The thread sanitizer does not support threads in a child of a process with several threads.
    if (support::under_tsan) return EXIT_SUCCESS;
    tidepool::pool_options options;
    options.decay_interval = std::chrono::milliseconds(1);  // so that ticks come at any moment
    tidepool::pool_resource pool(options);
    constexpr int others = 4;
    std::atomic<bool> over{false}, whole{true};
    std::atomic<int> at_work{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < others; ++i)
        threads.emplace_back([&] {
            for (bool first = true; !over; first = false) {
                if (!works(pool, 5)) whole = false;
                if (first) ++at_work;
            }
        });
    // The first child is forked while the others start, but not under the address sanitizer: there a starting thread
    // may hold locks of its malloc, which the child would inherit locked.
    while (support::under_asan && at_work < others) std::this_thread::yield();
    int failed = 0;
    for (std::size_t i = 0; i < support::scaled(200) && failed == 0; ++i) {
        const int status = in_child([&] { return child_works(pool, i % 4 == 0); });
        if (status != 0) {
            std::fprintf(stderr, "child %zu ended with wait status %d\n", i, status);
            failed = 1;
        }
        if (!works(pool, 2)) whole = false;
    }
    over = true;
    for (std::thread& each : threads) each.join();
    if (!whole) std::fputs("a block did not hold what was written into it\n", stderr);
    return failed == 0 && whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

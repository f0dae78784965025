// Eight threads allocate and free while the main thread forks repeatedly. Each child, and its child in turn, allocates
// and frees at once, frees inherited blocks, trims, and starts threads of its own.
#include <malloc.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

std::atomic<bool> done{false};
std::array<std::atomic<void*>, 256> shared{};  // blocks that pass between threads

void churn(std::size_t me) {
    std::mt19937 random(static_cast<std::uint32_t>(me));
    std::array<void*, 128> own{};
    for (std::size_t i = 0; !done.load(std::memory_order_relaxed); ++i) {
        const std::size_t dice = random();
        void*& place = own[dice % own.size()];
        std::free(place);
        place = take(dice % 64 == 0 ? 50'000 : mixed_size(dice / 128));
        if (dice % 16 == 0) place = shared[dice / 16 % shared.size()].exchange(place, std::memory_order_acq_rel);
        if (i % 50'000 == 49'999) malloc_trim(0);
    }
    for (void* p : own) std::free(p);
}

// Whether blocks are distinct: each gets a number and still has it after all were allocated.
void take_count_and_free() {
    constexpr std::size_t count = 1500;
    static std::array<std::size_t*, count> blocks;
    for (std::size_t i = 0; i < count; ++i) {
        blocks[i] = static_cast<std::size_t*>(take(mixed_size(i)));
        *blocks[i] = i;
    }
    for (std::size_t i = 0; i < count; ++i) require(*blocks[i] == i, "a block has one owner");
    for (void* p : blocks) std::free(p);
}

void wait_for(pid_t child) {
    require(child > 0, "fork works");
    int status = -1;
    require(waitpid(child, &status, 0) == child, "the child is waited for");
    if (WIFSIGNALED(status)) std::fprintf(stderr, "signal %d\n", WTERMSIG(status));
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child has ended well");
}

[[noreturn]] void be_child(std::vector<void*>& inherited, int generations_left, bool by_exit) {
    alarm(120);  // a deadlock ends here
    std::free(take(100));
    take_count_and_free();
    for (std::size_t i = 0; i < inherited.size(); i += 2) std::free(inherited[i]);
    if (by_exit) malloc_trim(0);
    std::thread(take_count_and_free).join();
    take_count_and_free();
    if (generations_left > 0) {
        std::vector<void*> rest;
        for (std::size_t i = 1; i < inherited.size(); i += 2) rest.push_back(inherited[i]);
        const pid_t child = fork();
        if (child == 0) be_child(rest, generations_left - 1, !by_exit);
        wait_for(child);
    }
    if (!by_exit) malloc_trim(0);
    if (by_exit) std::exit(0);
    std::_Exit(0);
}

}  // namespace

int main() {
    alarm(280);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 8; ++i) threads.emplace_back(churn, i);
    const std::size_t forks = support::scaled(100);
    for (std::size_t i = 0; i < forks; ++i) {
        std::vector<void*> mine;
        for (std::size_t block = 0; block < 200; ++block) mine.push_back(take(mixed_size(block + i)));
        const pid_t child = fork();
        if (child == 0) be_child(mine, i % 3 == 0 ? 2 : 0, i % 2 == 0);
        for (void* p : mine) std::free(p);
        wait_for(child);
    }
    done.store(true);
    for (std::thread& thread : threads) thread.join();
    for (auto& place : shared) std::free(place.load());
}

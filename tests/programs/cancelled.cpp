// A thread that is to be cancelled goes on to its next cancellation point, and nothing of a pool's is one: not where it
// waits for other threads, ticks or trims, and not where an upstream writes a log or a background ticker ends.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

#include "scale.hpp"

#include <tidepool/decorators.hpp>
#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

constexpr int threads = 6;
std::atomic<int> through{0};
std::optional<tidepool::pool_resource> logged, plain;  // of direct blocks: each goes through the log; of spans

void use(tidepool::pool_resource& pool, std::size_t rounds) {
    std::vector<void*> blocks(200);
    for (std::size_t round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = pool.allocate(16 + i * 11);
        for (std::size_t i = 0; i < blocks.size(); ++i) pool.deallocate(blocks[i], 16 + i * 11);
        pool.deallocate(pool.allocate(100'000), 100'000);
        if (round % 8 == 0) pool.tick();
        if (round % 8 == 4) pool.trim();
    }
}

void* work(void*) {
    ::pthread_cancel(::pthread_self());
    use(*logged, 10);
    use(*plain, support::scaled(200));
    { const tidepool::background_ticker ticker(1ms); }
    ++through;
    ::pthread_testcancel();
    return nullptr;
}

}  // namespace

int main() {
    // The sanitizers take what a cancelled thread leaves on its stack for misuse.
    if (support::under_asan || support::under_tsan) return EXIT_SUCCESS;
    ::alarm(250);
    tidepool::logging_upstream log(tidepool::pages_upstream(), "/dev/null");
    tidepool::pool_options options;
    options.decay_interval = 1ms;
    plain.emplace(options);
    options.source = tidepool::block_source::direct;
    logged.emplace(options, log);
    std::vector<pthread_t> started(threads);
    for (pthread_t& each : started)
        if (::pthread_create(&each, nullptr, work, nullptr) != 0) return EXIT_FAILURE;
    bool all = true;
    for (const pthread_t each : started) {
        void* result = nullptr;
        ::pthread_join(each, &result);
        all = all && result == PTHREAD_CANCELED;
    }
    logged.reset();  // before the log ends
    if (all && through == threads) return EXIT_SUCCESS;
    std::fprintf(stderr, "%d of %d threads came through\n", through.load(), threads);
    return EXIT_FAILURE;
}

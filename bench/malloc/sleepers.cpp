// Many threads that each had blocks of fifty sizes, gave all of them back and went to sleep, while the main thread goes
// on with a little work: how much memory stays with each of them?
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include "common/escape.hpp"
#include "malloc/benches.hpp"

namespace bench {

namespace {

constexpr std::size_t stack_bytes = 64U << 10;
constexpr unsigned blocks_a_size = 4;
// A little over two of Tidepool's default decay intervals.
constexpr auto wait_time = std::chrono::milliseconds(2500);

std::atomic<std::size_t> asleep = 0;

// 16, 32 … 128, then 42 more in equal ratios up to 32 KiB. As many size classes in Tidepool and mimalloc; jemalloc has
// fewer in that range.
std::vector<std::size_t> fifty_sizes() {
    std::vector<std::size_t> sizes;
    for (std::size_t bytes = 16; bytes <= 128; bytes += 16) sizes.push_back(bytes);
    for (int i = 1; i <= 42; ++i) sizes.push_back(static_cast<std::size_t>(std::lround(128 * std::exp2(i * 8 / 42.0))));
    return sizes;
}

void* touch_and_sleep(void* argument) {
    const auto& sizes = *static_cast<const std::vector<std::size_t>*>(argument);
    void* blocks[50 * blocks_a_size];
    std::size_t taken = 0;
    for (const std::size_t bytes : sizes)
        for (unsigned i = 0; i < blocks_a_size; ++i) write_byte(blocks[taken++] = std::malloc(bytes));
    while (taken > 0) std::free(blocks[--taken]);
    ++asleep;
    for (;;) ::pause();
}

// All stacks in one piece of memory, so that what they hold can be told from what malloc holds.
class stacks {
public:
    explicit stacks(std::size_t count) : bytes_(count * stack_bytes) {
        void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
        first_ = static_cast<char*>(at);
    }

    void start(std::size_t number, void* argument) {
        pthread_attr_t how;
        ::pthread_attr_init(&how);
        ::pthread_attr_setstack(&how, first_ + number * stack_bytes, stack_bytes);
        pthread_t ignored;
        const int error = ::pthread_create(&ignored, &how, touch_and_sleep, argument);
        ::pthread_attr_destroy(&how);
        if (error != 0) throw std::system_error(error, std::generic_category(), "pthread_create");
    }

    long resident_kib() const {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        std::vector<unsigned char> in_core(bytes_ / page);
        if (::mincore(first_, bytes_, in_core.data()) != 0)
            throw std::system_error(errno, std::generic_category(), "mincore");
        long pages = 0;
        for (const unsigned char each : in_core) pages += each & 1;
        return pages * static_cast<long>(page) / 1024;
    }

private:
    std::size_t bytes_;
    char* first_;
};

// A burst of a thousand blocks.
void little_work(std::vector<void*>& blocks) {
    for (void*& p : blocks) write_byte(p = std::malloc(64));
    for (void* p : blocks) std::free(p);
}

}  // namespace

void sleepers(benchmark::State& state) {
    constexpr std::size_t threads = 1000;
    static std::vector<std::size_t> sizes = fifty_sizes();
    std::vector<void*> blocks(1000);
    little_work(blocks);
    resident_kib();  // for its code
    const long before = resident_kib();
    stacks memory(threads);
    for (auto _ : state) {
        for (std::size_t i = 0; i < threads; ++i) memory.start(i, &sizes);
        const auto pause = std::chrono::milliseconds(10);
        while (asleep < threads) std::this_thread::sleep_for(pause);
        const auto until = std::chrono::steady_clock::now() + wait_time;
        while (std::chrono::steady_clock::now() < until) {
            little_work(blocks);
            std::this_thread::sleep_for(pause);
        }
    }
    const long stacked = memory.resident_kib();
    state.counters["thread_kib"] = static_cast<double>(resident_kib() - stacked - before) / threads;
}

}  // namespace bench

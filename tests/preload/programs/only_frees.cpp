// One thread only allocates and another only frees: neither accumulates memory, however long they run.
#include <array>
#include <atomic>
#include <thread>

#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

constexpr std::size_t places = 4096;
std::array<std::atomic<void*>, places> ring{};  // null: free for the next block; a release store hands a block over

}  // namespace

int main() {
    constexpr std::size_t blocks = support::scaled(2'000'000);
    const std::size_t before = resident_bytes();
    std::thread frees([] {
        for (std::size_t i = 0; i < blocks; ++i) {
            std::atomic<void*>& place = ring[i % places];
            void* p;
            while (!(p = place.load(std::memory_order_acquire))) std::this_thread::yield();
            place.store(nullptr, std::memory_order_release);
            std::free(p);
        }
    });
    for (std::size_t i = 0; i < blocks; ++i) {
        std::atomic<void*>& place = ring[i % places];
        while (place.load(std::memory_order_acquire)) std::this_thread::yield();
        place.store(take(mixed_size(i)), std::memory_order_release);
        if (i % 65'536 == 0) require_at_most(resident_bytes(), before + 32 * mib, "resident while blocks go over");
    }
    frees.join();
    require_at_most(resident_bytes(), before + 32 * mib, "resident at the end");
}

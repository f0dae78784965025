// Idle memory of an exited thread serves later threads, and they may free the blocks that it had in use.
#include <thread>
#include <vector>

#include "program.hpp"

namespace {

using namespace programs;

std::vector<void*> take_all(std::size_t total) {
    std::vector<void*> blocks;
    for (std::size_t taken = 0, i = 0; taken < total; taken += mixed_size(i++)) blocks.push_back(take(mixed_size(i)));
    return blocks;
}

}  // namespace

int main() {
    constexpr std::size_t each = 16 * mib;
    std::size_t first = 0;
    std::vector<void*> inherited;
    for (int round = 0; round < 40; ++round) {
        std::thread([&] {
            for (void* p : inherited) std::free(p);  // allocated by a thread that has exited
            for (void* p : take_all(each)) std::free(p);
            inherited = take_all(each / 4);
        }).join();
        if (round == 0) first = resident_bytes();
        require_at_most(resident_bytes(), first + each, "resident after a thread's exit");
    }
    const auto blocks = take_all(each);
    require_at_most(resident_bytes(), first + each, "resident after the main thread has taken as much");
    for (void* p : blocks) std::free(p);
    for (void* p : inherited) std::free(p);
}

// Allocates and frees before main, in atexit handlers, in static destructors and in a thread that runs on while the
// process ends.
#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "program.hpp"

namespace {

using namespace programs;

int steps_done = 0;  // steps that run when the process ends

void work() {
    std::map<int, std::string> lines;
    for (int i = 0; i < 500; ++i) lines[i] = std::string(mixed_size(static_cast<std::size_t>(i)), 'x');
    std::free(take(100'000));
}

struct lives_long {
    std::string text = std::string(3000, 'a');
    lives_long() { work(); }
    lives_long(const lives_long&) = delete;
    lives_long& operator=(const lives_long&) = delete;
    ~lives_long() {
        text += std::string(5000, 'b');
        work();
        ++steps_done;
    }
} before_main;

void* from_main = nullptr;
std::atomic<bool> working{false};

[[gnu::constructor]] void early() { work(); }
[[gnu::destructor]] void late() {
    work();
    require(steps_done == 3, "all that runs at the end has run");
    std::_Exit(0);  // main returned 1, so the program passes only if it gets here
}

}  // namespace

int main() {
    std::atexit([] {
        std::free(from_main);
        work();
        ++steps_done;
    });
    std::atexit([] {
        work();
        std::thread([] { work(); }).join();
        ++steps_done;
    });
    from_main = take(500);
    // Runs until the process ends.
    std::thread([] {
        for (;;) {
            work();
            working.store(true);
        }
    }).detach();
    while (!working.load()) std::this_thread::yield();
    return 1;
}

// Memory of a sleeping thread is returned after two ticks. To be run with a short TIDEPOOL_DECAY_MS.
//
//   decay busy    another thread allocates and frees, which drives the ticks
//   decay idle    no thread allocates: for TIDEPOOL_BACKGROUND=1
//   decay child   the same in a forked child
//
// It waits without a limit: only a watchdog ends it.
#include <sys/wait.h>
#include <time.h>

#include <cstring>
#include <vector>

#include "program.hpp"
#include "worker.hpp"

namespace {

using namespace programs;

constexpr std::size_t total = 64 * mib;

void take_and_free() {
    std::vector<void*> blocks;
    blocks.reserve(total / 64);
    for (std::size_t taken = 0, i = 0; taken < total; taken += mixed_size(i++)) blocks.push_back(take(mixed_size(i)));
    for (void* p : blocks) std::free(p);
}

// Allocates and frees in a thread that then sleeps; its idle memory must be returned.
void check(bool busy) {
    support::worker sleeper;
    sleeper.run([] { std::free(take(100)); });
    const std::size_t before = resident_bytes();
    sleeper.run(take_and_free);
    while (resident_bytes() > before + 4 * mib) {
        if (busy)
            for (std::size_t i = 0; i < 10'000; ++i) {
                void* blocks[20];
                for (std::size_t k = 0; k < 20; ++k) blocks[k] = take(mixed_size(i + k));
                for (void* p : blocks) std::free(p);
            }
        const timespec while_nothing_happens{0, 5'000'000};
        nanosleep(&while_nothing_happens, nullptr);
    }
}

}  // namespace

int main(int argc, char** argv) {
    require(argc == 2, "usage: decay busy|idle|child");
    alarm(200);
    if (std::strcmp(argv[1], "child") != 0) {
        check(std::strcmp(argv[1], "busy") == 0);
        return 0;
    }
    std::free(take(1000));
    const pid_t child = fork();
    require(child >= 0, "fork works");
    if (child == 0) {
        alarm(200);
        check(false);
        std::_Exit(0);
    }
    int status = -1;
    require(waitpid(child, &status, 0) == child, "the child is waited for");
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's memory has gone back");
    check(false);
}

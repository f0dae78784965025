// A program beside a library whose hooks allocate in everything (hooks_library.c) ends, and does not grow without end.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <vector>

#include "program.hpp"
#include "threads.hpp"

using namespace programs;

int main() {
    const rlimit most{4096 * mib, 4096 * mib};
    require(setrlimit(RLIMIT_AS, &most) == 0, "an address space of 4 GiB");
    alarm(200);
    support::on_threads(4, [](std::size_t me) {
        for (std::size_t round = 0; round < 20; ++round) {
            std::vector<void*> blocks;
            for (std::size_t i = 0; i < 2000; ++i) blocks.push_back(take(mixed_size(i + me)));
            for (void* p : blocks) std::free(p);
        }
    });
    for (int i = 0; i < 20; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            std::free(take(1000));
            _exit(0);
        }
        int status = -1;
        require(waitpid(child, &status, 0) == child && status == 0, "a child ends");
    }
    require(resident_bytes() < 256 * mib, "memory stays bounded");
}

// Another library's fork handlers fork, and use a pool: those that run while ours hold the pools' locks, since they
// were registered before, and those that do not. All four processes go on.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "scale.hpp"

#include <tidepool/tidepool.hpp>

namespace {

bool nested = false, failed = false;
int depth = 0;

void wait_for(pid_t child) {
    int status = -1;
    if (child > 0 && ::waitpid(child, &status, 0) == child && status == 0) return;
    std::fprintf(stderr, "a child has ended with wait status %d\n", status);
    failed = true;
}

// The child of this goes on into the outer fork, and ends with main().
void fork_inside() {
    if (!nested || ++depth > 1) return;
    const pid_t child = ::fork();
    if (child == 0)
        ::alarm(30);
    else
        wait_for(child);
}
void leave() { depth = 0; }

bool works(tidepool::pool_resource& pool) {
    for (std::size_t bytes = 16; bytes < 100'000; bytes *= 3) pool.deallocate(pool.allocate(bytes), bytes);
    pool.tick();
    pool.trim();
    return pool.stats().bytes_cached == 0 && pool.stats().bytes_in_use == 0;
}

}  // namespace

int main() {
    if (support::under_tsan) return EXIT_SUCCESS;
    ::alarm(60);
    ::pthread_atfork(fork_inside, leave, leave);  // inside our own handlers
    tidepool::pool_resource pool;
    if (!works(pool)) return EXIT_FAILURE;
    for (const bool outside : {false, true}) {
        if (outside) ::pthread_atfork(fork_inside, leave, leave);
        nested = true;
        const pid_t child = ::fork();
        nested = false;
        depth = 0;
        if (!works(pool)) failed = true;
        if (child == 0) ::_exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
        wait_for(child);
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

// A process locks itself into a filter of system calls, which ends it or fails, and goes on with malloc: with the calls
// that a strict sandbox of one thread allows, from the start or as the child of a process with several threads; and
// with several threads, of which the system refuses membarrier.
//
// sandboxed kill|errno alone|child|threads
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <string_view>

#include "filter.hpp"
#include "program.hpp"
#include "scale.hpp"

namespace {

using namespace programs;

constexpr std::size_t sizes[]{1, 100, 3000, 30'000, 40'000, 200'000, 3'000'000};

void use_malloc() {
    void* held[7 * 40];
    for (std::size_t i = 0; i < std::size(held); ++i) held[i] = take(sizes[i % 7]);
    for (std::size_t i = 0; i < std::size(held); i += 3) held[i] = std::realloc(held[i], sizes[(i + 3) % 7]);
    for (void* each : held) require(each, "there is memory");
    for (void* each : held) std::free(each);
    std::free(std::calloc(100, 3000));
    std::free(std::aligned_alloc(4096, 8192));
    ::operator delete(::operator new(500));
}

double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Several decay intervals, and what a program calls seldom.
void live(double seconds) {
    for (const double begin = now(); now() - begin < seconds;) use_malloc();
    malloc_trim(0);
    require(mallinfo2().arena > 0, "there is memory from the system");
    malloc_stats();
    use_malloc();
}

[[noreturn]] void live_in_sandbox(unsigned otherwise) {
    const char* shim = std::getenv("TIDEPOOL_TESTS_SHIM");
    const bool mimalloc = shim && std::string_view(shim) == "mimalloc";  // which commits what it has mapped by mprotect
    if (!support::filter_calls(
            {mimalloc ? SYS_mprotect : SYS_read, SYS_read, SYS_write, SYS_exit, SYS_exit_group, SYS_mmap, SYS_munmap,
             SYS_mremap, SYS_madvise, SYS_brk, SYS_futex, SYS_rt_sigprocmask, SYS_clock_gettime},
            SECCOMP_RET_ALLOW, otherwise))
        _exit(77);
    live(0.3);
    _exit(0);
}

std::atomic<bool> done{false};

void* go_on(void*) {
    while (!done) use_malloc();
    return nullptr;
}

void require_well(pid_t child) {
    int status = -1;
    require(child > 0 && waitpid(child, &status, 0) == child, "the child is waited for");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) std::_Exit(77);
    if (WIFSIGNALED(status)) std::fprintf(stderr, "signal %d\n", WTERMSIG(status));
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child has ended well");
}

}  // namespace

int main(int, char** arguments) {
    alarm(120);
    const bool kill = std::string_view(arguments[1]) == "kill";
    const std::string_view how = arguments[2];
    const unsigned otherwise = kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
    std::free(std::malloc(100));
    if (how == "alone") live_in_sandbox(otherwise);
    pthread_t others[2];
    // Refused later than at the start, and in threads that start afterwards.
    use_malloc();
    if (how == "threads" && !support::filter_calls({SYS_membarrier}, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW))
        return 77;
    for (pthread_t& each : others) require(pthread_create(&each, nullptr, go_on, nullptr) == 0, "a thread can start");
    if (how == "threads") {
        live(0.3);
    } else {
        for (int i = 0; i < 3; ++i) {
            const pid_t child = fork();
            if (child == 0) live_in_sandbox(otherwise);
            require_well(child);
        }
    }
    done = true;
    for (const pthread_t each : others) pthread_join(each, nullptr);
}

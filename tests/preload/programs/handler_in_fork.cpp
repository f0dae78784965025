// A signal handler allocates while its thread is inside fork(), where libc's malloc is locked. Afterwards the thread
// has the signal mask that it had, in both processes.
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "program.hpp"
#include "scale.hpp"

namespace {

using programs::require;

std::atomic<std::size_t> handled{0};

void allocate(int) {
    const int before = errno;
    std::free(std::malloc(100));
    std::free(std::malloc(100'000));
    ++handled;
    errno = before;
}

bool only_this_is_blocked(int number) {
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, nullptr, &now);
    for (int each = 1; each < 32; ++each)
        if (sigismember(&now, each) != (each == number)) return false;
    return true;
}

}  // namespace

int main() {
    alarm(250);
    std::atomic<bool> done{false};
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &some, nullptr);
    struct sigaction action {};
    action.sa_handler = allocate;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    const pthread_t forking = pthread_self();
    // So often that some come inside a fork, and not so often that a fork, which begins anew for each, never ends.
    std::thread signalling([&done, forking] {
        while (!done) {
            pthread_kill(forking, SIGUSR1);
            usleep(200);
        }
    });
    for (std::size_t i = 0; i < support::scaled(300); ++i) {
        const pid_t child = fork();
        if (child == 0) _exit(only_this_is_blocked(SIGUSR2) ? 0 : 1);
        require(child > 0, "fork works");
        int status = -1;
        while (waitpid(child, &status, 0) < 0) require(errno == EINTR, "the child is waited for");
        require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's signal mask is as before");
        require(only_this_is_blocked(SIGUSR2), "the signal mask is as before");
    }
    done = true;
    signalling.join();
    require(handled > 0, "the handler has run");
}

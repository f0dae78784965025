// A signal handler forks, whatever it has interrupted: a small or a large block on its way, a tick, a trim. The
// children allocate. Alone, and while other threads allocate.
#include <malloc.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <string_view>
#include <thread>
#include <vector>

#include "program.hpp"
#include "scale.hpp"

namespace {

using programs::require;

std::atomic<std::size_t> forks{0};
std::atomic<bool> whole{true};

// The next signal, a moment after this one: what the handler takes does not count.
void set_timer(long microseconds) {
    const itimerval timer{{}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, nullptr);
}

void fork_here(int) {
    const int before = errno;
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        for (const std::size_t bytes : {100U, 3000U, 30'000U}) {
            auto* p = static_cast<char*>(std::malloc(bytes));
            if (!p) _exit(1);
            p[0] = p[bytes - 1] = 1;
            std::free(p);
        }
        _exit(0);
    }
    int status = -1;
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) whole = false;
    set_timer(static_cast<long>(200 + ++forks * 37 % 400));
    errno = before;
}

bool large_ones = true;

void churn(std::size_t& i) {
    static thread_local void* held[300];
    for (int round = 0; round < 100; ++round, ++i) {
        void*& place = held[i * 7 % 300];
        std::free(place);
        place = std::malloc(large_ones && i % 9 == 0 ? i * 977 % 90'000 : programs::mixed_size(i));
    }
}

}  // namespace

int main(int, char** arguments) {
    const bool alone = std::string_view(arguments[1]) == "alone";
    // libc's own malloc, which serves large blocks over libc, is locked by fork() if there are several threads.
    large_ones = alone || std::string_view(std::getenv("TIDEPOOL_TESTS_SHIM")) != "libc";
    std::atomic<bool> done{false};
    std::vector<std::thread> others;
    sigset_t the_signal;
    sigemptyset(&the_signal);
    sigaddset(&the_signal, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &the_signal, nullptr);  // for the others
    for (int n = 0; n < (alone ? 0 : 3); ++n)
        others.emplace_back([&done] {
            for (std::size_t i = 0; !done;) churn(i);
        });
    pthread_sigmask(SIG_UNBLOCK, &the_signal, nullptr);
    struct sigaction action {};
    action.sa_handler = fork_here;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    set_timer(200);
    const std::size_t wanted = support::scaled(alone ? 400 : 150);
    for (std::size_t i = 0; forks < wanted;) {
        churn(i);
        if (i % 8000 == 0) malloc_trim(0);
    }
    set_timer(0);
    done = true;
    for (std::thread& each : others) each.join();
    require(whole, "every child has ended well");
}

// The limit of the address space comes at any moment, with much room or none: before the program begins, after it has
// warmed up, while threads start, while a tick is due, before a trim, and in a forked child. Requests fail with ENOMEM
// or are served, nothing crashes or hangs, and once the limit is gone all is as before.
//
// limits                 all phases, each in processes of its own
// limits PHASE MIB       one of them
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

#include "program.hpp"

namespace {

using namespace programs;

constexpr const char* phases[]{"start", "warm", "threads", "tick", "trim", "child"};
constexpr std::size_t rooms[]{0, 4, 64};  // MiB beyond what the process has
constexpr std::size_t sizes[]{5'000'000, 200'000, 40'000, 30'000, 9000, 3000, 700, 100, 16};

std::size_t virtual_bytes() {
    char text[64] = {};
    const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    require(file >= 0 && read(file, text, sizeof text - 1) > 0, "/proc/self/statm can be read");
    close(file);
    return std::strtoul(text, nullptr, 10) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void limit_to(std::size_t bytes) {
    rlimit both;
    require(getrlimit(RLIMIT_AS, &both) == 0, "there is a limit");
    both.rlim_cur = bytes ? bytes : both.rlim_max;
    require(setrlimit(RLIMIT_AS, &both) == 0, "the limit can be set");
}

struct node {
    node* next;
    std::size_t bytes;
};

// Of each size as many blocks as there are, the largest first, at most 1500 and 3 MiB; they are freed in the order in
// which they came.
void use_malloc() noexcept {
    node* first = nullptr;
    node** last = &first;
    for (const std::size_t bytes : sizes)
        for (std::size_t i = 0; i < 1500 && i * bytes < 3 * mib; ++i) {
            errno = 0;
            auto* p = static_cast<node*>(i % 3 == 0 ? std::calloc(1, bytes) : std::malloc(bytes));
            if (!p) {
                require(errno == ENOMEM, "the request that failed has set ENOMEM");
                break;
            }
            require(i % 3 != 0 || (!p->next && reinterpret_cast<char*>(p)[bytes - 1] == 0), "calloc clears");
            std::memset(reinterpret_cast<char*>(p) + bytes - 8, static_cast<int>(i), 8);
            *p = {nullptr, bytes};
            *last = p;
            last = &p->next;
        }
    while (first) {
        node* const p = first;
        first = p->next;
        if (p->bytes == 700)
            if (void* moved = std::realloc(p, 100'000)) {
                require(static_cast<node*>(moved)->bytes == 700, "realloc keeps the contents");
                std::free(moved);
                continue;
            }
        std::free(p);
    }
}

// Takes until a request fails, which it does long before 5 GB.
void run_out() noexcept {
    node* first = nullptr;
    for (std::size_t i = 0;; ++i) {
        auto* p = static_cast<node*>(std::malloc(5'000'000));
        if (!p) break;
        require(i < 1000, "the limit holds");
        *p = {first, 0};
        first = p;
    }
    use_malloc();
    while (first) std::free(std::exchange(first, first->next));
}

// Threads that take, free and exit; as many as can start.
void use_threads() noexcept {
    pthread_t threads[4];
    bool begun[4];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (int i = 0; i < 4; ++i)
        begun[i] = pthread_create(
                       &threads[i], &small, [](void*) -> void* { return use_malloc(), nullptr; }, nullptr) == 0;
    for (int i = 0; i < 4; ++i)
        if (begun[i]) pthread_join(threads[i], nullptr);
    pthread_attr_destroy(&small);
}

void use_child() noexcept {
    const pid_t child = fork();
    if (child < 0) return;
    if (child == 0) {
        use_malloc();
        use_threads();
        malloc_trim(0);
        _exit(0);
    }
    int status = -1;
    require(waitpid(child, &status, 0) == child && status == 0, "a child ends well");
}

void nap(long milliseconds) noexcept {
    const timespec t{0, milliseconds * 1'000'000};
    nanosleep(&t, nullptr);
}

void live(std::string_view phase, std::size_t room) {
    if (phase != "start") {
        use_malloc();
        use_threads();
    }
    if (phase == "tick") {
        use_malloc();
        nap(15);  // the decay interval is 5 ms
    }
    if (phase == "child") {
        const pid_t child = fork();
        require(child >= 0, "there is a child");
        if (child != 0) {
            int status = -1;
            require(waitpid(child, &status, 0) == child && status == 0, "the child ends well");
            return;
        }
    }
    if (phase == "threads") {
        // The limit comes while they start.
        pthread_t other;
        const auto starts = [](void*) -> void* {
            for (int i = 0; i < 5; ++i) use_threads();
            return nullptr;
        };
        require(pthread_create(&other, nullptr, starts, nullptr) == 0, "a thread starts");
        limit_to(virtual_bytes() + room);
        for (int i = 0; i < 5; ++i) use_threads();
        pthread_join(other, nullptr);
    } else if (phase != "start") {
        limit_to(virtual_bytes() + room);
    }
    if (phase == "trim") malloc_trim(0);
    use_malloc();
    use_threads();
    for (int i = 0; i < 3; ++i) {
        nap(6);
        use_malloc();
    }
    use_child();
    malloc_trim(0);
    use_malloc();
    run_out();
    use_malloc();
    limit_to(0);
    for (const std::size_t bytes : sizes) std::free(take(bytes));
    use_threads();
}

// Runs one phase as a child. `limited`: by so many bytes from before its start on.
void run(const char* program, const char* phase, std::size_t room, std::size_t limited) {
    char text[32];
    std::snprintf(text, sizeof text, "%zu", room);
    const pid_t child = fork();
    if (child == 0) {
        if (limited) limit_to(limited);
        execl(program, program, phase, text, static_cast<char*>(nullptr));
        _exit(1);
    }
    int status = 0;
    require(child > 0 && waitpid(child, &status, 0) == child, "the process is waited for");
    if (status == 0) return;
    std::fprintf(stderr, "%s, %zu MiB of room: %s %d\n", phase, room, WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    std::_Exit(1);
}

}  // namespace

int main(int count, char** arguments) {
    alarm(count > 1 ? 60 : 280);
    if (count > 1) {
        live(arguments[1], std::strtoul(arguments[2], nullptr, 10) * mib);
        return 0;
    }
    // What it takes to load the program and the library in front of it.
    const std::size_t loaded = virtual_bytes();
    for (const char* phase : phases)
        for (const std::size_t room : rooms)
            run("/proc/self/exe", phase, room, std::string_view(phase) == "start" ? loaded + room * mib : 0);
}

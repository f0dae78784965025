// System and library calls that fail on request, and clocks that go wrong: for programs that find out what becomes of
// each. In front of libc's functions of the same names, so for one source file of a program, whose symbols must be
// exported if a preloaded library is to find them, and not for builds with sanitizers, which do the same.
//
// A fault is an environment variable, FAULT=CALL:N:HOW: the N-th call since the start fails, and, where HOW is `on`,
// all that follow. Of the clock N says nothing and HOW is still, ahead, back, wild or fails.
#pragma once

#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace faults {

enum class call { mmap, munmap, madvise, mremap, membarrier, futex, key_create, setspecific, thread, clock, none };
inline constexpr const char* call_names[]{"mmap",  "munmap",     "madvise",     "mremap", "membarrier",
                                          "futex", "key_create", "setspecific", "thread", "clock"};

// All constant-initialized, since libraries call before any constructor of ours.
struct state {
    std::atomic<bool> read{false};
    std::atomic<call> which{call::none};
    std::atomic<unsigned long> at{0}, seen{0};
    std::atomic<bool> on{false}, waits{false};
    std::atomic<char> clock{0};  // the first letter of how it goes wrong
    std::atomic<long> looks{0};
};
inline constinit state plan;

// Reads no more than the environment, which is there before any library. Twice at worst, to the same effect.
inline void read_plan() noexcept {
    if (plan.read.load(std::memory_order_acquire)) return;
    const char* asked = environ ? std::getenv("FAULT") : nullptr;
    for (std::size_t i = 0; asked && i < std::size(call_names); ++i) {
        const std::size_t length = std::strlen(call_names[i]);
        if (std::strncmp(asked, call_names[i], length) != 0 || asked[length] != ':') continue;
        char* how = nullptr;
        plan.at = std::strtoul(asked + length + 1, &how, 10);
        plan.on = std::strcmp(how, ":on") == 0;
        plan.clock = how[0] == ':' ? how[1] : '\0';
        plan.which = static_cast<call>(i);
    }
    const char* shim = environ ? std::getenv("TIDEPOOL_TESTS_SHIM") : nullptr;
    plan.waits = shim && std::strcmp(shim, "jemalloc") == 0;
    plan.read.store(true, std::memory_order_release);
}
// For main(). jemalloc does not survive that the first mapping of its own start fails.
inline void go() noexcept {
    read_plan();
    plan.waits = false;
}

// Whether this call fails.
inline bool fails(call which) noexcept {
    read_plan();
    if (plan.which.load(std::memory_order_relaxed) != which || plan.waits.load(std::memory_order_relaxed)) return false;
    const unsigned long number = plan.seen.fetch_add(1, std::memory_order_relaxed) + 1;
    return number == plan.at || (plan.on && number > plan.at);
}

inline bool reached() noexcept { return plan.seen >= plan.at; }
inline void no_more() noexcept { plan.which = call::none; }

template <class Function>
Function* real(const char* name) noexcept {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Not by libc's syscall(), which is one of ours.
inline long system_call(long number, long a, long b, long c, long d, long e, long f) noexcept {
#if defined(__x86_64__)
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    register long x5 asm("x5") = f;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    const long result = x0;
#endif
    if (result >= -4095 && result < 0) {
        errno = static_cast<int>(-result);
        return -1;
    }
    return result;
}
inline int refuse(int with) noexcept {
    errno = with;
    return -1;
}
inline long word(void* p) noexcept { return reinterpret_cast<long>(p); }

// What a clock that goes wrong says after `t`; each look moves it on.
inline void distort(timespec& t) noexcept {
    const long look = plan.looks.fetch_add(1, std::memory_order_relaxed);
    constexpr long start = 1'000'000;
    switch (plan.clock.load(std::memory_order_relaxed)) {
        case 's':
            t = {start, 0};
            break;  // still
        case 'a':
            t.tv_sec += look * 3600;
            break;  // ahead, an hour a look
        case 'b':
            t = {start - look, 0};
            break;  // back, a second a look
        case 'w':
            t = {start * (1 + look * 7919 % 1009), look % 1000};
            break;  // wild
        default:
            break;
    }
}

// ---- the driver ----------------------------------------------------------------------------------------------------

constexpr int fault_was_not_reached = 10;

// Runs the program once more with a fault, as a child. Ends this one where the child does not end by itself and well.
// False where the fault was not reached.
inline bool try_with(const char* fault, char* const* arguments) noexcept {
    const pid_t child = fork();
    if (child == 0) {
        setenv("FAULT", fault, 1);
        execv("/proc/self/exe", arguments);
        _exit(1);
    }
    int status = 0;
    const bool waited = child > 0 && waitpid(child, &status, 0) == child;
    if (waited && WIFEXITED(status) && WEXITSTATUS(status) == fault_was_not_reached) return false;
    if (waited && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    std::fprintf(stderr, "FAULT=%s: %s %d\n", fault, WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    std::_Exit(1);
}

// Each call at each n, alone and with all that follow, until a run makes fewer than n; beyond the first five, n rises
// by half each time.
inline void try_all(char* const* arguments) noexcept {
    char fault[64];
    for (const char* name : call_names) {
        if (std::strcmp(name, "clock") == 0) continue;
        unsigned long runs = 0;
        for (const char* how : {"once", "on"})
            for (unsigned long n = 1;; n += n < 5 ? 1 : n / 2, ++runs) {
                std::snprintf(fault, sizeof fault, "%s:%lu:%s", name, n, how);
                if (!try_with(fault, arguments)) break;
            }
        std::printf("%s: %lu runs\n", name, runs);
    }
    for (const char* how : {"still", "ahead", "back", "wild", "fails"}) {
        std::snprintf(fault, sizeof fault, "clock:1:%s", how);
        try_with(fault, arguments);
    }
}

}  // namespace faults

extern "C" {

void* mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
    using namespace faults;
    if (fails(call::mmap)) return refuse(ENOMEM), MAP_FAILED;
    return reinterpret_cast<void*>(
        system_call(SYS_mmap, word(address), static_cast<long>(bytes), protection, flags, file, offset));
}
int munmap(void* address, std::size_t bytes) noexcept {
    using namespace faults;
    if (fails(call::munmap)) return refuse(ENOMEM);  // as where there are too many mappings
    return static_cast<int>(system_call(SYS_munmap, word(address), static_cast<long>(bytes), 0, 0, 0, 0));
}
int madvise(void* address, std::size_t bytes, int advice) noexcept {
    using namespace faults;
    if (fails(call::madvise)) return refuse(EAGAIN);
    return static_cast<int>(system_call(SYS_madvise, word(address), static_cast<long>(bytes), advice, 0, 0, 0));
}
void* mremap(void* address, std::size_t before, std::size_t after, int flags, ...) noexcept {
    using namespace faults;
    std::va_list more;
    va_start(more, flags);
    void* const to = flags & MREMAP_FIXED ? va_arg(more, void*) : nullptr;
    va_end(more);
    if (fails(call::mremap)) return refuse(ENOMEM), MAP_FAILED;
    return reinterpret_cast<void*>(system_call(SYS_mremap, word(address), static_cast<long>(before),
                                               static_cast<long>(after), flags, word(to), 0));
}
// Of futex the waits: nothing but a filter of system calls refuses to wake, and that does so from the start.
long syscall(long number, ...) noexcept {
    using namespace faults;
    std::va_list more;
    va_start(more, number);
    long a[6];
    for (long& each : a) each = va_arg(more, long);
    va_end(more);
    if (number == SYS_membarrier && fails(call::membarrier)) return refuse(EPERM);
    if (number == SYS_futex && (a[1] & 127) == FUTEX_WAIT && fails(call::futex)) return refuse(EPERM);
    return system_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
int pthread_key_create(pthread_key_t* key, void (*destroy)(void*)) noexcept {
    using namespace faults;
    if (fails(call::key_create)) return EAGAIN;
    static const auto its = real<int(pthread_key_t*, void (*)(void*))>("pthread_key_create");
    return its(key, destroy);
}
int pthread_setspecific(pthread_key_t key, const void* value) noexcept {
    using namespace faults;
    if (fails(call::setspecific)) return ENOMEM;
    static const auto its = real<int(pthread_key_t, const void*)>("pthread_setspecific");
    return its(key, value);
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) noexcept {
    using namespace faults;
    if (fails(call::thread)) return EAGAIN;
    static const auto its = real<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
    return its(thread, attributes, body, argument);
}
int clock_gettime(clockid_t which, timespec* t) noexcept {
    using namespace faults;
    read_plan();
    const bool wrong = plan.which.load(std::memory_order_relaxed) == call::clock;
    if (wrong && plan.clock == 'f') return refuse(EINVAL);
    const long result = system_call(SYS_clock_gettime, which, word(t), 0, 0, 0, 0);
    if (wrong) distort(*t);
    return static_cast<int>(result);
}

}  // extern "C"

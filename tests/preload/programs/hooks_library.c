/* Stands in front of libc for what a malloc may call there, and allocates and frees in each of these functions. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void allocate(void) {
    void* volatile small = malloc(40);
    void* volatile large = malloc(70000);
    free(small);
    free(large);
}

#define HOOK(result, name, parameters, arguments)  \
    result name parameters {                       \
        static result(*real) parameters;           \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        allocate();                                \
        return real arguments;                     \
    }

HOOK(void*, mmap, (void* at, size_t n, int how, int flags, int file, off_t from), (at, n, how, flags, file, from))
HOOK(int, munmap, (void* at, size_t n), (at, n))
HOOK(int, madvise, (void* at, size_t n, int what), (at, n, what))
HOOK(int, mprotect, (void* at, size_t n, int how), (at, n, how))
HOOK(int, clock_gettime, (clockid_t clock, struct timespec* now), (clock, now))
HOOK(int, pthread_setspecific, (pthread_key_t key, const void* value), (key, value))
HOOK(int, pthread_mutex_lock, (pthread_mutex_t * lock), (lock))
HOOK(int, pthread_mutex_trylock, (pthread_mutex_t * lock), (lock))
HOOK(int, pthread_sigmask, (int how, const sigset_t* set, sigset_t* before), (how, set, before))
HOOK(int, sigprocmask, (int how, const sigset_t* set, sigset_t* before), (how, set, before))
HOOK(int, pthread_atfork, (void (*a)(void), void (*b)(void), void (*c)(void)), (a, b, c))
HOOK(int, sched_yield, (void), ())
HOOK(long, sysconf, (int what), (what))
HOOK(char*, getenv, (const char* name), (name))
HOOK(char*, secure_getenv, (const char* name), (name))

long syscall(long number, ...) {
    static long (*real)(long, ...);
    if (!real) real = dlsym(RTLD_NEXT, "syscall");
    allocate();
    va_list words;
    long word[6];
    va_start(words, number);
    for (int i = 0; i < 6; ++i) word[i] = va_arg(words, long);
    va_end(words);
    return real(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}

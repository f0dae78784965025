// Puts a header before each block of malloc's, as tracing libraries do, and knows nothing of new and delete.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct header {
    size_t bytes, mark;
};
enum { mark = 0x7ACE };

unsigned long tracer_calls;

static void* next(const char* name) { return dlsym(RTLD_NEXT, name); }

static void* noted(struct header* block, size_t bytes) {
    if (!block) return NULL;
    *block = (struct header){bytes, mark};
    __atomic_fetch_add(&tracer_calls, 1, __ATOMIC_RELAXED);
    return block + 1;
}

void* malloc(size_t bytes) {
    static void* (*its)(size_t);
    if (!its) *(void**)&its = next("malloc");
    return noted(its(bytes + sizeof(struct header)), bytes);
}

void* calloc(size_t count, size_t bytes) {
    void* p = malloc(count * bytes);
    return p ? memset(p, 0, count * bytes) : NULL;
}

void free(void* p) {
    static void (*its)(void*);
    if (!its) *(void**)&its = next("free");
    if (!p) return;
    struct header* block = (struct header*)p - 1;
    if (block->mark != mark) abort();
    its(block);
}

void* realloc(void* p, size_t bytes) {
    void* other = malloc(bytes);
    if (p && other) {
        const size_t had = ((struct header*)p)[-1].bytes;
        memcpy(other, p, had < bytes ? had : bytes);
        free(p);
    }
    return other;
}

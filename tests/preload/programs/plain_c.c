// A C program: nothing of C++ is loaded, and all its threads can allocate.
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_cxx(struct dl_phdr_info* object, size_t size, void* unused) {
    (void)size;
    (void)unused;
    return strstr(object->dlpi_name, "libstdc++") != NULL || strstr(object->dlpi_name, "libc++") != NULL;
}

static int by_length(const void* one, const void* other) {
    const size_t a = strlen(*(char*const*)one), b = strlen(*(char*const*)other);
    return (a > b) - (a < b);
}

static int done;  // its address means success

static void* work(void* unused) {
    enum { count = 3000 };
    (void)unused;
    char** lines = calloc(count, sizeof *lines);
    if (!lines) return NULL;
    for (size_t i = 0; i < count; ++i)
        if (asprintf(&lines[i], "%*zu", (int)(i * 37 % 700 + 1), i) < 0) return NULL;
    qsort(lines, count, sizeof *lines, by_length);
    for (size_t i = 0; i < count; ++i) free(lines[i]);
    free(lines);
    return &done;
}

int main(void) {
    if (dl_iterate_phdr(is_cxx, NULL)) {
        fputs("check failed: nothing of C++ is loaded\n", stderr);
        return 1;
    }
    pthread_t threads[4];
    for (size_t i = 0; i < 4; ++i)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0) return 1;
    int well = work(NULL) == &done;
    for (size_t i = 0; i < 4; ++i) {
        void* end = NULL;
        pthread_join(threads[i], &end);
        well &= end == &done;
    }
    if (!well) fputs("check failed: there is memory in every thread\n", stderr);
    return !well;
}

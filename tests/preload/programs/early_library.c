// Calls malloc in its constructor, also from a thread, and frees in its destructor.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { count = 200 };
void* early_blocks[count + 1];  // null at the end

static void* take(void* begin) {
    for (void** block = begin; block < (void**)begin + count / 2; ++block) {
        const size_t bytes = (size_t)(block - early_blocks) * 331 + 1;
        *block = bytes % 2 ? malloc(bytes) : calloc(1, bytes);
        if (!*block) abort();
        memset(*block, 1, bytes);
    }
    return NULL;
}

__attribute__((constructor)) static void early(void) {
    pthread_t thread;
    take(early_blocks);
    if (pthread_create(&thread, NULL, take, early_blocks + count / 2) != 0) abort();
    pthread_join(thread, NULL);
    free(malloc(100000));
}

__attribute__((destructor)) static void late(void) {
    for (void** block = early_blocks; *block; ++block) free(*block);
}

// Frees what a preloaded library (early_library.c) allocated in its constructor, possibly before the constructor of the
// preloaded malloc ran.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    void** blocks = dlsym(RTLD_DEFAULT, "early_blocks");
    if (!blocks) {
        fputs("check failed: the library is preloaded\n", stderr);
        return 1;
    }
    for (; *blocks; ++blocks) {
        *blocks = realloc(*blocks, 5000);
        free(*blocks);
        *blocks = malloc(200);
    }
    return 0;  // the library's destructor frees the rest
}

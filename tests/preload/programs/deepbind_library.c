// The library that deepbind.cpp opens: its malloc is libc's.
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void* library_take(size_t bytes, size_t alignment, char with) {
    void* p = alignment <= 16 ? malloc(bytes) : memalign(alignment, bytes);
    if (p) memset(p, with, bytes);
    void* other = malloc(64);  // this block stays in the library
    free(realloc(other, 100));
    return p;
}

char* library_read_line(const char* text) {
    size_t length = 10;
    char* line = malloc(length);
    FILE* in = fmemopen((void*)text, strlen(text), "r");
    const ssize_t got = in ? getline(&line, &length, in) : -1;
    if (in) fclose(in);
    return got < 0 ? NULL : line;
}

void library_use(void* p, size_t bytes, void (*give_back)(void*)) {
    memset(p, 1, bytes);
    give_back(p);
}

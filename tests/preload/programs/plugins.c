// A C program that opens and closes plugins written in C++. The C++ library is loaded and unloaded with them, is never
// in the global scope, and memory outlives the plugin that allocated it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { rounds = 100, left_max = 8 };

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    void* left[left_max] = {0};
    for (int round = 0; round < rounds; ++round) {
        void* plugin = dlopen(argv[1], (round % 2 ? RTLD_NOW : RTLD_LAZY) | RTLD_LOCAL);
        if (!plugin) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        int (*run)(void);
        void* (*take)(size_t);
        void (*give)(void*);
        *(void**)&run = dlsym(plugin, "plugin_run");
        *(void**)&take = dlsym(plugin, "plugin_take");
        *(void**)&give = dlsym(plugin, "plugin_give");
        if (!run || !take || !give) return 1;
        const int step = run();
        if (step != 0) {
            fprintf(stderr, "round %d: the plugin has failed at step %d\n", round, step);
            return 1;
        }
        give(malloc(100));
        give(left[round % left_max]);  // allocated by a plugin that has since been closed
        left[round % left_max] = take(300);
        memset(left[round % left_max], round, 300);
        void* ours = take(50);
        dlclose(plugin);
        free(ours);
    }
    for (int i = 0; i < left_max; ++i) free(left[i]);
    return 0;
}

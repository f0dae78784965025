// Opens the plug-in that is named on its command line.
#include <dlfcn.h>

#include <cstdio>

int main(int, char** arguments) {
    void* plugin = dlopen(arguments[1], RTLD_NOW);
    void* function = plugin ? dlsym(plugin, "plugin_serves") : nullptr;
    if (function && reinterpret_cast<int (*)()>(function)()) return 0;
    const char* why = function ? "the plug-in does not serve" : dlerror();
    std::fprintf(stderr, "failed: %s\n", why);
    return 1;
}

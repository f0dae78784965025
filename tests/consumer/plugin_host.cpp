// Opens the plug-in that is named on its command line, uses it in a thread, and closes it before that thread ends.
#include <dlfcn.h>

#include <cstdio>
#include <future>
#include <thread>

int main(int, char** arguments) {
    void* plugin = dlopen(arguments[1], RTLD_NOW);
    void* function = plugin ? dlsym(plugin, "plugin_serves") : nullptr;
    if (!function) {
        std::fprintf(stderr, "failed: %s\n", dlerror());
        return 1;
    }
    std::promise<int> used;
    std::promise<void> closed;
    std::thread user([&] {
        used.set_value(reinterpret_cast<int (*)()>(function)());
        closed.get_future().wait();
    });
    const int served = used.get_future().get();
    dlclose(plugin);
    closed.set_value();
    user.join();
    if (!served) std::fputs("failed: the plug-in does not serve\n", stderr);
    return served ? 0 : 1;
}

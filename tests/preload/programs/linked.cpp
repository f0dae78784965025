// A program that is linked to the shim by the target tidepool::malloc instead of having it preloaded. It prints
// "secure" if it runs with more rights than its caller.
#include <dlfcn.h>
#include <sys/auxv.h>

#include <cstring>
#include <string>

#include "program.hpp"

int main() {
    Dl_info from{};
    const auto address = reinterpret_cast<void*>(&std::malloc);
    programs::require(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &from) != 0 && address != nullptr, "malloc is somewhere");
    programs::require(std::strstr(from.dli_fname, "libtidepool_malloc") != nullptr, "malloc is the shim's");
    std::string text(1000, 'x');
    for (int i = 0; i < 1000; ++i) text += std::string(static_cast<std::size_t>(i), 'y');
    if (getauxval(AT_SECURE) != 0) std::puts("secure");
}

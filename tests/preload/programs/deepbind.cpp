// A library opened with RTLD_DEEPBIND reaches libc's own malloc and bypasses anything preloaded. Its memory is resized,
// measured and freed here, by the preloaded malloc; memory from here is used there and handed back.
#include <dlfcn.h>
#include <malloc.h>

#include <cstring>
#include <initializer_list>

#include "program.hpp"

namespace {

using namespace programs;

template <class Function>
Function* named(void* library, const char* name) {
    auto* found = reinterpret_cast<Function*>(dlsym(library, name));
    require(found != nullptr, name);
    return found;
}

bool is_filled(const void* p, std::size_t bytes, char with) {
    for (std::size_t i = 0; i < bytes; ++i)
        if (static_cast<const char*>(p)[i] != with) return false;
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    require(argc == 2, "usage: deepbind LIBRARY");
    void* library = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
    if (!library) std::fprintf(stderr, "%s\n", dlerror());
    require(library != nullptr, "the library opens");

    auto* library_take = named<void*(std::size_t, std::size_t, char)>(library, "library_take");
    for (const std::size_t bytes : {1UL, 16UL, 100UL, 4096UL, 32'768UL, 40'000UL, 300'000UL, 20'000'000UL})
        for (const std::size_t alignment : {16UL, 64UL, 4096UL, 1UL << 20})
            for (int way = 0; way < 3; ++way) {
                void* p = library_take(bytes, alignment, 'l');
                require(p != nullptr, "the library has memory");
                require(malloc_usable_size(p) >= bytes, "the library's memory has a size here");
                if (way == 1) {
                    p = std::realloc(p, bytes * 2);
                    require(p && is_filled(p, bytes < 5000 ? bytes : 5000, 'l'), "the library's memory grows here");
                } else if (way == 2) {
                    p = std::realloc(p, bytes / 2 + 1);
                    require(p && is_filled(p, bytes < 5000 ? bytes / 2 : 2500, 'l'),
                            "the library's memory shrinks here");
                }
                if (way == 0)
                    ::operator delete(p);
                else
                    std::free(p);
            }

    // Functions of libc, called there with memory from there, call the preloaded malloc to grow it.
    auto* library_read_line = named<char*(const char*)>(library, "library_read_line");
    char text[3001];
    std::memset(text, 'x', 3000);
    text[3000] = '\0';
    char* line = library_read_line(text);
    require(line && std::strcmp(line, text) == 0, "a line has been read");
    std::free(line);

    // The reverse direction.
    auto* library_use = named<void(void*, std::size_t, void (*)(void*))>(library, "library_use");
    for (std::size_t bytes = 1; bytes < 100'000; bytes = bytes * 3 / 2 + 1) library_use(take(bytes), bytes, std::free);
    dlclose(library);
}

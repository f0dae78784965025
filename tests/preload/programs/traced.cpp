// A program that runs with a tracing library (tracer_library.c) in front of its malloc.
#include <dlfcn.h>

#include "forms.hpp"

int main() {
    programs::require(dlsym(RTLD_DEFAULT, "tracer_calls") != nullptr, "the library is preloaded");
    programs::use_all_forms();
    for (std::size_t i = 0; i < 10'000; ++i) std::free(std::realloc(programs::take(programs::mixed_size(i)), 700));
}

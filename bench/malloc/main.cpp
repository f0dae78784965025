// tidepool-malloc-bench BENCH N: one bench of malloc and free, N operations, as one line of JSON. Without arguments it
// says which library its malloc comes from.
//
// A plain program that knows nothing of Tidepool. bench/run starts it under each malloc in turn by LD_PRELOAD.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "malloc/benches.hpp"
#include "support/resident.hpp"

namespace {

using bench::measured;

struct named {
    const char* name;
    measured (*run)(std::size_t n);
};

constexpr named benches[] = {
    {"pair-64", [](std::size_t n) { return bench::pairs(64, n); }},
    {"pair-2000", [](std::size_t n) { return bench::pairs(2000, n); }},
    {"pair-16384", [](std::size_t n) { return bench::pairs(16384, n); }},
    {"pair-32768", [](std::size_t n) { return bench::pairs(32768, n); }},
    {"batch-reverse", [](std::size_t n) { return bench::batches(false, n); }},
    {"batch-order", [](std::size_t n) { return bench::batches(true, n); }},
    {"random", [](std::size_t n) { return bench::replacements(n); }},
    {"grow", [](std::size_t n) { return bench::up_and_down(n); }},
    {"handoff", [](std::size_t n) { return bench::handoff(1, bench::blocks_of_64, n); }},
    {"handoff-mixed", [](std::size_t n) { return bench::handoff(2, bench::mixed, n); }},
    {"server-2", [](std::size_t n) { return bench::server(2, n); }},
    {"server-16", [](std::size_t n) { return bench::server(16, n); }},
    {"bleed", [](std::size_t n) { return bench::handoff(1, bench::mixed, n); }},
    {"sleepers", [](std::size_t n) { return bench::sleepers(n); }},
};

int say_whose() {
    Dl_info found{};
    void* p = ::dlsym(RTLD_DEFAULT, "malloc");
    if (!p || !::dladdr(p, &found)) return EXIT_FAILURE;
    std::printf("%s\n", found.dli_fname);
    return EXIT_SUCCESS;
}

int usage() {
    std::fputs("usage: tidepool-malloc-bench [BENCH N]\nBENCH:", stderr);
    for (const named& each : benches) std::fprintf(stderr, " %s", each.name);
    std::fputs("\n", stderr);
    return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1) return say_whose();
    if (argc != 3) return usage();
    const std::size_t n = std::strtoull(argv[2], nullptr, 10);
    for (const named& each : benches) {
        if (std::strcmp(each.name, argv[1]) != 0) continue;
        try {
            const measured got = each.run(n);
            std::printf(R"({"ns": %f, "first_ns": %f, "peak_kib": %ld, "after_kib": %ld, "thread_kib": %f})"
                        "\n",
                        got.ns, got.first_ns, bench::resident_peak_kib(), got.after_kib, got.thread_kib);
        } catch (const std::exception& e) {
            std::fprintf(stderr, "tidepool-malloc-bench: %s\n", e.what());
            return EXIT_FAILURE;
        }
        // Not exit(): some threads sleep for ever, others may still be on their way out.
        std::fflush(stdout);
        ::_exit(EXIT_SUCCESS);
    }
    return usage();
}

// What a process costs that starts, allocates little and ends: page faults, beside those without the preloaded library.
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstring>

#include "program.hpp"

namespace {

using programs::require;

constexpr int runs = 20;

long faults_of_a_run(const char* self, bool preloaded) {
    long all = 0;
    for (int i = 0; i < runs; ++i) {
        const pid_t child = fork();
        require(child >= 0, "there can be another process");
        if (child == 0) {
            if (!preloaded) unsetenv("LD_PRELOAD");
            execl(self, self, "child", nullptr);
            _exit(1);
        }
        int status = -1;
        rusage use{};
        require(wait4(child, &status, 0, &use) == child && status == 0, "the child ends well");
        all += use.ru_minflt;
    }
    return all / runs;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "child") == 0) {
        for (int i = 0; i < 10; ++i) std::free(programs::take(100));
        return 0;
    }
    const long with = faults_of_a_run("/proc/self/exe", true), without = faults_of_a_run("/proc/self/exe", false);
    std::printf("%ld page faults with the library, %ld without\n", with, without);
    require(with >= without, "the library is preloaded");
    // Of these, 20 are what any library costs that is preloaded.
    const char* flavour = std::getenv("TIDEPOOL_TESTS_SHIM");
    const auto is = [=](const char* name) { return flavour && std::strcmp(flavour, name) == 0; };
    const std::size_t limit = is("jemalloc") ? 160 : is("mimalloc") ? 100 : 60;
    programs::require_at_most(static_cast<std::size_t>(with - without), limit, "page faults of the shim");
}

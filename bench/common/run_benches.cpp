#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "common/subject.hpp"

namespace bench {

std::size_t operations_asked(int& argc, char** argv) {
    std::size_t operations = 0;
    constexpr std::string_view option = "--operations=";
    char** const end = std::remove_if(argv + 1, argv + argc, [&](std::string_view each) {
        if (!each.starts_with(option)) return false;
        operations = std::strtoull(each.data() + option.size(), nullptr, 10);
        return true;
    });
    argc = static_cast<int>(end - argv);
    return operations;
}

int run_benches(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return EXIT_FAILURE;
    benchmark::RunSpecifiedBenchmarks();
    std::fflush(stdout);
    // Not exit(): some threads sleep for ever, others may still be on their way out.
    std::_Exit(EXIT_SUCCESS);
}

}  // namespace bench

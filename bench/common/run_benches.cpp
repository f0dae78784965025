#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "common/subject.hpp"

namespace bench {

namespace {

// What of the library's own file is resident.
long mapped_kib() {
    std::ifstream in("/proc/self/smaps");
    long kib = 0;
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line.find('-') < line.find(' ')) inside = line.find("libbenchmark") != std::string::npos;
        if (inside && line.starts_with("Rss:")) kib += std::stol(line.substr(4));
    }
    return kib;
}

}  // namespace

std::size_t operations_asked(int& argc, char** argv) {
    resident_kib();  // for its code
    main_began_kib = resident_kib() - mapped_kib();
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

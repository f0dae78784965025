// The C++ compiler on one file of this project, to an object file.
#include <fmt/format.h>

#include "programs/programs.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

namespace bench {

real_program compiler() {
    return {"run-compiler", 1, false, [](const std::filesystem::path& folder, bool) {
                const std::string source = TIDEPOOL_SOURCE_DIR;
                const std::string object = folder / "pool.o";
                return [=](const std::string& preload) {
                    const finished r = run({{"/usr/bin/g++", "-std=c++20", "-O2", "-I", source + "/include", "-I",
                                             source + "/src", "-c", source + "/src/pool.cpp", "-o", object},
                                            preload});
                    return program_run{r.wall_ms, r.cpu_ms, r.peak_kib, fmt::format("{:016x}", checksum(object))};
                };
            }};
}

}  // namespace bench

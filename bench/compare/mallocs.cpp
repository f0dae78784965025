#include "compare/mallocs.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "support/command.hpp"

namespace bench {

namespace fs = std::filesystem;

namespace {

fs::path here() { return fs::read_symlink("/proc/self/exe").parent_path(); }

}  // namespace

std::vector<malloc_kind> mallocs() {
    return {{shim, here().parent_path() / "lib/libtidepool_malloc.so"},
            {"libc", "libc.so.6"},
            {"mimalloc", "libmimalloc.so.2"},
            {"jemalloc", "libjemalloc.so.2"},
            {"tcmalloc", "libtcmalloc_minimal.so.4"}};
}

std::string malloc_program() { return here() / "tidepool-malloc-bench"; }
std::string front_program() { return here() / "tidepool-front-bench"; }

std::string located(const malloc_kind& kind) {
    if (kind.library.find('/') != std::string::npos && !fs::exists(kind.library))
        throw std::runtime_error(fmt::format("{}: there is no {}", kind.who, kind.library));
    std::string from = run({{malloc_program()}, kind.library}).output;
    while (!from.empty() && from.back() == '\n') from.pop_back();
    // The library may be known by a shorter name than that of its file.
    const std::string wanted = fs::path(kind.library).filename();
    if (fs::path(from).filename().string().rfind(wanted, 0) != 0)
        throw std::runtime_error(
            fmt::format("{}: malloc comes from {}, {} could not be preloaded", kind.who, from, kind.library));
    return from;
}

}  // namespace bench

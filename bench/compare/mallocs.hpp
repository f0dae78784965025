// Which mallocs are measured against each other: shared libraries that replace a program's own by LD_PRELOAD.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bench {

struct malloc_kind {
    std::string who;
    std::string library;  // as LD_PRELOAD takes it
};

// The one that their ratios refer to.
inline constexpr const char* shim = "tidepool";

// Tidepool first. libc is preloaded, too: a program linked to another malloc gets libc's only so (Debian's redis-server
// is linked to jemalloc), and for the others the start costs all contestants the same.
std::vector<malloc_kind> mallocs();

// tidepool-malloc-bench and tidepool-front-bench, which lie beside this program.
std::string malloc_program();
std::string front_program();

// Where the library lies that a program's malloc comes from under this one; throws std::runtime_error, saying what is
// missing, when it is another one: the loader goes on without what it cannot preload.
std::string located(const malloc_kind& kind);

}  // namespace bench

// Pools over the adapters that the project was built with, in a program that keeps libc's malloc.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <string>

#include <tidepool/tidepool.hpp>
#if defined(WITH_mimalloc)
#include <tidepool/mimalloc.hpp>
#endif
#if defined(WITH_jemalloc)
#include <tidepool/jemalloc.hpp>
#endif

namespace {

bool serves(const tidepool::upstream& below, std::pmr::memory_resource* plain) {
    tidepool::pool_resource pool(below);
    std::pmr::list<std::pmr::string> pooled(&pool), others(plain);
    for (int i = 0; i < 1000; ++i) {
        pooled.emplace_back(std::to_string(i) + " is too long for the string itself");
        others.emplace_back(pooled.back());
    }
    std::printf("%s\n", below.name());
    return pooled.back() == others.back() && pool.stats().upstream_bytes > 0;
}

}  // namespace

int main() {
    bool good = true;
#if defined(WITH_mimalloc)
    good = serves(tidepool::mimalloc_upstream(), tidepool::mimalloc_resource()) && good;
#endif
#if defined(WITH_jemalloc)
    good = serves(tidepool::jemalloc_upstream(), tidepool::jemalloc_resource()) && good;
#endif
    Dl_info info{};
    void* their_malloc = reinterpret_cast<void*>(&std::malloc);
    if (dladdr(their_malloc, &info) == 0 || !std::strstr(info.dli_fname, "libc.so")) {
        std::fprintf(stderr, "failed: malloc is of %s\n", info.dli_fname);
        good = false;
    }
    return good ? 0 : 1;
}

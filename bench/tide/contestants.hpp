// Who is measured: a memory resource, the allocator that it draws from and that the rest of the program uses, and its
// purge.
#pragma once

#include <malloc.h>

#include <adapters/jemalloc/names.hpp>
#include <functional>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <string_view>

#include <tidepool/jemalloc.hpp>
#include <tidepool/mimalloc.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/stats.hpp>

namespace bench::tide {

// Lives to the end of the process.
struct contestant {
    std::pmr::memory_resource* resource;
    // The upstream itself, past any pool: where the program goes on allocating.
    std::pmr::memory_resource* elsewhere;
    // The upstream gives what it has idle to the operating system, as far as it can be asked to.
    std::function<void()> purge;
    // Of a Tidepool. Any thread.
    std::function<tidepool::stats()> stats = [] { return tidepool::stats{}; };
};

// All arenas, those that the program uses for itself among them.
inline void purge_jemalloc() {
    static_assert(tidepool_je::all_arenas == 4096);
    if (tidepool_je_mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) != 0)
        throw std::runtime_error("jemalloc refuses to purge");
}

inline contestant pool_over(tidepool::upstream upstream, std::pmr::memory_resource* elsewhere,
                            std::function<void()> purge) {
    auto* const pool = new tidepool::pool_resource(upstream);
    return {pool, elsewhere, std::move(purge), [pool] { return pool->stats(); }};
}

// Throws std::runtime_error if there is none of that name.
inline contestant make(std::string_view who) {
    const auto collect = [] { tidepool::mimalloc_upstream().purge(); };  // mi_collect(true)
    using tidepool::jemalloc_resource, tidepool::mimalloc_resource;
    if (who == "tidepool/mimalloc") return pool_over(tidepool::mimalloc_upstream(), mimalloc_resource(), collect);
    if (who == "tidepool/jemalloc")
        return pool_over(tidepool::jemalloc_upstream(), jemalloc_resource(), purge_jemalloc);
    // mmap has no heap that one could go on with: another pool.
    if (who == "tidepool/pages") return pool_over(tidepool::pages_upstream(), new tidepool::pool_resource, [] {});
    if (who == "mimalloc") return {mimalloc_resource(), mimalloc_resource(), collect};
    if (who == "jemalloc") return {jemalloc_resource(), jemalloc_resource(), purge_jemalloc};
    if (who == "synchronized_pool")
        return {new std::pmr::synchronized_pool_resource, std::pmr::new_delete_resource(), [] { ::malloc_trim(0); }};
    throw std::runtime_error("no contestant " + std::string(who));
}

}  // namespace bench::tide

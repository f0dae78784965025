// tidepool-compare-pools [WORK THREADS LEAST MOST OPERATIONS WHO]: a work of the comparison on one of the pools, or
// their names. Each is called as its users call it: all but oneTBB's memory_pool through a base class.
#include <memory_resource>
#include <string_view>

#include <tidepool/pool_resource.hpp>

#if defined(TIDEPOOL_BENCH_BOOST)
#include <boost/container/pmr/synchronized_pool_resource.hpp>
#include <boost/container/pmr/unsynchronized_pool_resource.hpp>
namespace boost_pmr = boost::container::pmr;
#endif
#if defined(TIDEPOOL_BENCH_TBB)
#define TBB_PREVIEW_MEMORY_POOL 1
#include <oneapi/tbb/cache_aligned_allocator.h>
#include <oneapi/tbb/memory_pool.h>
#include <oneapi/tbb/scalable_allocator.h>
#endif

#include "common/sources.hpp"
#include "compare/works.hpp"

namespace bench::compare {

template <class Resource, class Base = std::pmr::memory_resource>
findings on_own(const task& what) {
    return run(through<Base>(new Resource), what);
}

constexpr std::pair<const char*, findings (*)(const task&)> pools[] = {
    {"pool_resource", on_own<tidepool::pool_resource>},
    {"new_delete", [](const task& what) { return run(through(std::pmr::new_delete_resource()), what); }},
    {"std_sync", on_own<std::pmr::synchronized_pool_resource>},
    {"std_unsync", on_own<std::pmr::unsynchronized_pool_resource>},
#if defined(TIDEPOOL_BENCH_BOOST)
    {"boost_sync", on_own<boost_pmr::synchronized_pool_resource, boost_pmr::memory_resource>},
    {"boost_unsync", on_own<boost_pmr::unsynchronized_pool_resource, boost_pmr::memory_resource>},
#endif
#if defined(TIDEPOOL_BENCH_TBB)
    {"tbb_pool",
     [](const task& what) {
         auto* const made = opaque(new tbb::memory_pool<std::allocator<char>>);
         return run(source{[made](auto n) { return made->malloc(n); }, [made](void* p, auto) { made->free(p); }}, what);
     }},
    {"tbb_scalable", [](const task& what) { return run(through(tbb::scalable_memory_resource()), what); }},
    {"tbb_aligned", on_own<tbb::cache_aligned_resource>},
#endif
};

}  // namespace bench::compare

int main(int argc, char** argv) {
    using namespace bench::compare;
    for (const auto& [name, run_on] : pools) {
        if (argc == 7 && name == std::string_view(argv[6])) return say(run_on(task_of(argv)));
        if (argc == 1) std::puts(name);
    }
    return argc == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

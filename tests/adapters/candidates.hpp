// All upstreams of the library, for the suite that each of them must pass.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <memory_resource>
#include <string>
#include <vector>

#include "scale.hpp"

#include <tidepool/decorators.hpp>
#include <tidepool/options.hpp>
#include <tidepool/upstream.hpp>
#include <tidepool/upstream_from.hpp>

#if defined(TIDEPOOL_TESTS_MIMALLOC)
#include <tidepool/mimalloc.hpp>
#endif
#if defined(TIDEPOOL_TESTS_JEMALLOC)
#include <tidepool/jemalloc.hpp>
#endif

namespace adapters {

// mimalloc and jemalloc are not instrumented: ThreadSanitizer does not see that memory which one thread frees and
// another is given has passed through their locks, and reports the two owners' writes. So no block of theirs changes
// threads there.
inline constexpr bool threads_can_be_watched = !support::under_tsan;

struct candidate {
    std::string name;
    tidepool::upstream from;
    bool one_thread = false;        // allocates only for the thread that constructed it
    bool serious = true;            // an allocator of its own, not a decorator or a wrapper: gets the longer tests
    std::shared_ptr<void> keeps{};  // what `from` refers to
};

template <class U, class... Arguments>
candidate made(std::string name, Arguments&&... arguments) {
    auto it = std::make_shared<U>(std::forward<Arguments>(arguments)...);
    return {std::move(name), tidepool::upstream(*it), false, false, it};
}

inline std::vector<candidate> every_candidate() {
    using namespace tidepool;
    std::vector<candidate> all{
        {"libc", libc_upstream()},
        {"pages", pages_upstream()},
        {"a memory resource", upstream(std::pmr::new_delete_resource()), false, false},
    };
    all.push_back(made<allocator_upstream<std::allocator<int>>>("a standard allocator"));
    all.push_back(made<allocator_upstream<std::pmr::polymorphic_allocator<>>>("a polymorphic allocator"));
    all.push_back(made<c_upstream>("four C functions", c_upstream{std::malloc, std::free, std::aligned_alloc}));
    all.push_back(made<counting_upstream>("counting", libc_upstream()));
    all.push_back(made<limited_upstream>("limited", libc_upstream(), std::size_t{1} << 40));
    all.push_back(made<logging_upstream>("logging", libc_upstream(), "/dev/null"));
    all.push_back(made<failing_upstream>("failing", libc_upstream()));
    all.push_back(made<retrying_upstream>("retrying", libc_upstream(), [](std::size_t, std::size_t) { return false; }));
#if defined(TIDEPOOL_TESTS_MIMALLOC)
    all.push_back({"mimalloc", mimalloc_upstream()});
    all.push_back({"mimalloc as a memory resource", upstream(mimalloc_resource()), false, false});
    all.push_back(made<mimalloc_heap>("a heap of mimalloc"));
    all.back().one_thread = true;
#endif
#if defined(TIDEPOOL_TESTS_JEMALLOC)
    all.push_back({"jemalloc", jemalloc_upstream()});
    all.push_back({"jemalloc as a memory resource", upstream(jemalloc_resource()), false, false});
    all.push_back(made<jemalloc_arena>("an arena of jemalloc"));
    all.back().serious = true;
#endif
    return all;
}

inline tidepool::pool_options hand_ticked(tidepool::block_source source = tidepool::block_source::spans) {
    return {.decay_interval = std::chrono::milliseconds(0), .source = source};
}

}  // namespace adapters

// tidepool-micro: the micro benches, as benchmarks of Google's library, each called "BENCH/THREADS WHO". Its own malloc
// is libc's: mimalloc and jemalloc are called by their own names.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tidepool/tidepool.hpp>

#include "common/sources.hpp"
#include "common/subject.hpp"
#include "micro/bump.hpp"

#if defined(TIDEPOOL_BENCH_MIMALLOC)
#include <mimalloc.h>
#include <tidepool/mimalloc.hpp>
#endif
#if defined(TIDEPOOL_BENCH_JEMALLOC)
#include <adapters/jemalloc/names.hpp>
#include <tidepool/jemalloc.hpp>
#endif

namespace bench {

namespace {

using std::pmr::new_delete_resource, std::pmr::synchronized_pool_resource, std::pmr::unsynchronized_pool_resource;

constexpr size_range small{16, 1040}, large{1024, 32768};

template <class Resource>
auto own() {
    return through(new Resource);
}
template <auto upstream>
auto pool_over() {
    return through(new tidepool::pool_resource(upstream()));
}
template <auto plain>
auto plain_resource() {
    return through(plain());
}

struct block {
    std::byte bytes[64];
};

auto allocator() {
    return source{[](std::size_t) { return tidepool::allocator<block>().allocate(1); },
                  [](void* p, std::size_t) { tidepool::allocator<block>().deallocate(static_cast<block*>(p), 1); }};
}

auto block_pool() {
    auto* const pool = opaque(new tidepool::block_pool(sizeof(block)));
    return source{[pool](std::size_t) { return pool->allocate(); },
                  [pool](void* p, std::size_t) { pool->deallocate(p); }};
}

// Go's sync.Pool: get and put of a live object.
auto object_pool() {
    auto* const pool = opaque(new tidepool::object_pool<block>);
    return source{[pool](std::size_t) { return pool->get(); },
                  [pool](void* p, std::size_t) { pool->put(static_cast<block*>(p)); }};
}

// No allocator at all: what the ring of `handoff` and the byte cost by themselves.
auto ring_alone() {
    constexpr std::size_t count = 8192;
    block* const blocks = opaque(new block[count]);
    return source{[blocks, next = std::size_t{0}](std::size_t) mutable { return &blocks[next++ % count]; },
                  [](void* p, std::size_t) { escape(p); }};
}

void add_resources(const job& what) {
    add(what, "tidepool::pool_resource", own<tidepool::pool_resource>);
    add(what, "synchronized_pool_resource", own<synchronized_pool_resource>);
    if (what.threads == 1) add(what, "unsynchronized_pool_resource", own<unsynchronized_pool_resource>);
    add(what, "new_delete_resource", plain_resource<new_delete_resource>);
}

void add_faces(const job& what) {
    add(what, "tidepool::allocator", allocator);
    add(what, "tidepool::block_pool", block_pool);
    add(what, "tidepool::object_pool", object_pool);
}

class counting_resource final : public std::pmr::memory_resource {
public:
    unsigned long calls = 0;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        ++calls;
        return new_delete_resource()->allocate(bytes, alignment);
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
        new_delete_resource()->deallocate(p, bytes, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

// What a pool costs that nobody uses: KiB of resident memory, the growth over a thousand of them, and its calls to the
// upstream. Once in a process.
template <class Pool>
void add_idle(const std::string& who) {
    const auto idle = [](benchmark::State& state) {
        constexpr std::size_t pools = 1000;
        counting_resource upstream;
        // Touched before the count, so that it is the pools that grow and not the list of them.
        std::vector<std::unique_ptr<Pool>> all(pools);
        const long before = resident_kib();
        for (auto _ : state)
            for (auto& each : all) each = std::make_unique<Pool>(&upstream);
        state.counters["kib"] = static_cast<double>(resident_kib() - before) / pools;
        state.counters["upstream_calls"] = static_cast<double>(upstream.calls);
    };
    add("idle", 1, who, idle)->Iterations(1);
}

void add_pools() {
    constexpr size_range fixed{sizeof(block), sizeof(block)};
    for (const unsigned threads : {1U, 2U}) {
        const job what{"pair", work::pair, threads, fixed, 1};
        add_resources(what);
        if (threads == 1) add(what, "bump", own<bump_resource>);
        add_faces(what);
    }
    for (const auto& [name, freed] : {std::pair{"batch-reverse", order::reverse}, {"batch-order", order::in_order}}) {
        const job what{name, work::batch, 1, fixed, 1000, freed};
        add_resources(what);
        add_faces(what);
    }
    const job handoff{"handoff", work::handoff, 2, fixed, 4096};
    add_resources(handoff);
    add_faces(handoff);
    add(handoff, "ring alone", ring_alone);
    for (const unsigned threads : {1U, 2U}) add_resources({"random", work::random, threads, small, 10'000});
    add_idle<tidepool::pool_resource>("tidepool::pool_resource");
    add_idle<synchronized_pool_resource>("synchronized_pool_resource");
    add_idle<unsynchronized_pool_resource>("unsynchronized_pool_resource");
}

// A pool over a library, and the two ways to that library without it.
void add_libraries([[maybe_unused]] const job& what) {
#if defined(TIDEPOOL_BENCH_MIMALLOC)
    add(what, "pool over mimalloc", pool_over<tidepool::mimalloc_upstream>);
    add(what, "mimalloc", plain_malloc<mi_malloc, mi_free>);
    add(what, "mimalloc_resource", plain_resource<tidepool::mimalloc_resource>);
#endif
#if defined(TIDEPOOL_BENCH_JEMALLOC)
    add(what, "pool over jemalloc", pool_over<tidepool::jemalloc_upstream>);
    add(what, "jemalloc", plain_malloc<tidepool_je_malloc, tidepool_je_free>);
    add(what, "jemalloc_resource", plain_resource<tidepool::jemalloc_resource>);
#endif
}

void add_fronts(std::size_t operations) {
    constexpr std::uint32_t sizes[] = {16, 64, 256, 1024, 4096, 8192, 16384, 32768};
    constexpr std::size_t few_bytes = 4U << 20, many_bytes = 32U << 20;
    // So many blocks, or fewer where they are large.
    const auto add = [&](const char* name, work kind, size_range range, std::size_t blocks, std::size_t bytes_max) {
        job what{"front-" + std::string(name) + '-' + std::to_string(range.most),
                 kind,
                 kind == work::handoff ? 2U : 1U,
                 range,
                 std::min(blocks, bytes_max / range.most),
                 order::alternating,
                 true,
                 operations};
        if (kind == work::grow) what.operations = 3 * what.blocks;
        add_libraries(what);
    };
    for (const std::uint32_t bytes : sizes) add("pair", work::pair, {bytes, bytes}, 1, few_bytes);
    for (const std::uint32_t bytes : sizes) add("batch", work::batch, {bytes, bytes}, 1000, few_bytes);
    add("random", work::random, small, 10'000, many_bytes);
    add("random", work::random, large, 1000, many_bytes);
    for (const std::uint32_t bytes : sizes) add("grow", work::grow, {bytes, bytes}, 500'000, many_bytes);
    for (const std::uint32_t bytes : sizes) add("handoff", work::handoff, {bytes, bytes}, 4096, few_bytes);
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv) {
    const std::size_t operations = bench::operations_asked(argc, argv);
    bench::add_pools();
    bench::add_fronts(operations);
    return bench::run_benches(argc, argv);
}

// One block taken and given back at once, over and over: the private hit and nothing else. With two threads each makes
// its own pairs, at the same time.
#include "compare/bump.hpp"
#include "micro/micro.hpp"
#include "micro/sources.hpp"

namespace bench {

namespace {

template <class Source>
[[gnu::noinline]] void pairs(Source source, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = source.take();
        escape(p);
        source.give(p);
    }
}

constexpr auto loop = [](auto source, std::shared_ptr<void> alive) {
    return subject{[source, alive](unsigned, std::size_t n) { pairs(source, n); }};
};

// Its blocks are never given back, so the buffer bounds the round; it starts anew between rounds.
candidate bump_candidate() {
    return {"bump", [] {
                constexpr std::size_t buffer_bytes = 128U << 20;
                auto bump = std::make_shared<bump_resource>(buffer_bytes);
                subject s = loop(resource_source(bump.get()), bump);
                s.before_round = [bump] { bump->reset(); };
                s.n_max = buffer_bytes / block_bytes - 1;
                return s;
            }};
}

}  // namespace

micro_bench pair_bench(unsigned threads) {
    micro_bench bench{"pair", threads, 1, resource_candidates(threads, loop)};
    if (threads == 1) bench.candidates.push_back(bump_candidate());
    bench.candidates = joined(std::move(bench.candidates), face_candidates(loop));
    return bench;
}

}  // namespace bench

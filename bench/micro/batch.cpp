// A thousand blocks taken, then all given back: in reverse, as a stack of scopes would, or in order, as a queue would.
#include "micro/micro.hpp"
#include "micro/sources.hpp"

namespace bench {

namespace {

constexpr std::size_t batch_blocks = 1000;

template <order freed, class Source>
[[gnu::noinline]] void batches(Source source, void** blocks, std::size_t n) {
    for (std::size_t done = 0; done < n; done += batch_blocks) {
        for (std::size_t i = 0; i < batch_blocks; ++i) {
            blocks[i] = source.take();
            escape(blocks[i]);
        }
        for (std::size_t i = 0; i < batch_blocks; ++i)
            source.give(blocks[freed == order::reverse ? batch_blocks - 1 - i : i]);
    }
}

template <order freed>
constexpr auto loop = [](auto source, std::shared_ptr<void> alive) {
    auto blocks = std::make_shared<std::vector<void*>>(batch_blocks);
    return subject{[source, alive, blocks](unsigned, std::size_t n) { batches<freed>(source, blocks->data(), n); }};
};

template <order freed>
micro_bench make(const char* name) {
    return {name, 1, batch_blocks, joined(resource_candidates(1, loop<freed>), face_candidates(loop<freed>))};
}

}  // namespace

micro_bench batch_bench(order freed) {
    return freed == order::reverse ? make<order::reverse>("batch-reverse") : make<order::in_order>("batch-order");
}

}  // namespace bench

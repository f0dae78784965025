// One thread takes blocks, another gives them back; between them a bounded ring. The taker writes one byte into each.
#include "micro/micro.hpp"
#include "micro/sources.hpp"
#include "support/ring.hpp"

namespace bench {

namespace {

using block_ring = ring<void*, 4096>;

template <class Source>
[[gnu::noinline]] void taker(Source source, block_ring& to, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = source.take();
        *static_cast<volatile unsigned char*>(p) = 1;
        to.push(p);
    }
}

template <class Source>
[[gnu::noinline]] void giver(Source source, block_ring& from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) source.give(from.pop());
}

constexpr auto loop = [](auto source, std::shared_ptr<void> alive) {
    auto between = std::make_shared<block_ring>();
    return subject{[source, alive, between](unsigned thread, std::size_t n) {
        thread == 0 ? taker(source, *between, n) : giver(source, *between, n);
    }};
};

// No allocator at all: what the ring and the byte cost by themselves.
class ring_alone_source {
public:
    explicit ring_alone_source(block* blocks) : blocks_(opaque(blocks)) {}
    void* take() { return &blocks_[next_++ % count]; }
    void give(void* p) { escape(p); }

    static constexpr std::size_t count = 8192;

private:
    block* blocks_;
    std::size_t next_ = 0;
};

candidate ring_alone() {
    return {"ring alone", [] {
                auto blocks = std::make_shared<std::vector<block>>(ring_alone_source::count);
                return loop(ring_alone_source(blocks->data()), blocks);
            }};
}

}  // namespace

micro_bench handoff_bench() {
    micro_bench bench{"handoff", 2, 1, joined(resource_candidates(2, loop), face_candidates(loop))};
    bench.candidates.push_back(ring_alone());
    return bench;
}

}  // namespace bench

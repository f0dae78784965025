// tidepool-malloc-bench [--whose]: the benches of malloc and free, as benchmarks of Google's library, or which library
// its malloc comes from. A plain program that knows nothing of Tidepool; `tidepool-bench` starts it under each malloc
// in turn by LD_PRELOAD. The benches of one thread never start another, so that a malloc that does without locks as
// long as there is one thread is seen at its best.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "common/sources.hpp"
#include "common/subject.hpp"
#include "malloc/benches.hpp"

namespace bench {

namespace {

constexpr size_range small{16, 1040};

// Blocks through bounded rings, one from every taker to every giver; both go round theirs in turn. Threads 0 to
// takers - 1 take, as many others give back.
class exchange {
public:
    exchange(unsigned takers, size_range sizes) : takers_(takers), sizes_(sizes), rings_(takers * takers) {
        for (auto& each : rings_) each = std::make_unique<block_ring>();
    }

    void operator()(benchmark::State& state) {
        const auto thread = static_cast<unsigned>(state.thread_index());
        dice random(thread + 1);
        const auto work = [&](std::size_t n) {
            thread < takers_ ? take(thread, random, n) : give(thread - takers_, n);
        };
        together_.meet(2 * takers_);
        work(20'000);
        // A multiple, or a giver would wait for what no taker sends it.
        const auto n = in_steps(state, 1000);
        while (state.KeepRunningBatch(n)) {
            work(static_cast<std::size_t>(n));
            together_.meet(2 * takers_);
        }
        if (thread == 0) count_memory(state);
        together_.meet(2 * takers_);  // the others are still there when it is counted
    }

private:
    void take(unsigned taker, dice& random, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            void* p = std::malloc(sizes_.of(random.roll()));
            write_byte(p);
            rings_[taker * takers_ + i % takers_]->push(p);
        }
    }
    void give(unsigned giver, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) std::free(rings_[i % takers_ * takers_ + giver]->pop());
    }

    const unsigned takers_;
    const size_range sizes_;
    std::vector<std::unique_ptr<block_ring>> rings_;
    meeting_point together_;
};

void add_exchange(const char* name, unsigned takers, size_range sizes, std::size_t operations) {
    const auto kept = std::make_shared<exchange>(takers, sizes);
    auto* made = add(name, 2 * takers, "malloc", [kept](benchmark::State& state) { (*kept)(state); });
    made->Threads(static_cast<int>(2 * takers));
    if (operations > 0) made->Iterations(static_cast<benchmark::IterationCount>(operations));
}

void add_benches(std::size_t operations) {
    const auto add_job = [&](const char* name, work kind, size_range sizes, std::size_t blocks, order freed) {
        add<decltype(plain_malloc<std::malloc, std::free>()), plain_block>(
            {name, kind, 1, sizes, blocks, freed, true, operations}, "malloc", plain_malloc<std::malloc, std::free>);
    };
    add_job("malloc-pair-64", work::pair, {64, 64}, 1, {});
    add_job("malloc-pair-2000", work::pair, {2000, 2000}, 1, {});
    add_job("malloc-pair-16384", work::pair, {16384, 16384}, 1, {});
    add_job("malloc-batch-reverse", work::batch, {64, 64}, 1000, order::reverse);
    add_job("malloc-batch-order", work::batch, {64, 64}, 1000, order::in_order);
    add_job("malloc-random", work::random, small, 10'000, {});
    add_exchange("malloc-handoff", 1, {64, 64}, operations);
    add_exchange("malloc-handoff-mixed", 2, small, operations);
    for (const unsigned lanes : {2U, 16U}) {
        auto* made = add("malloc-server-" + std::to_string(lanes), lanes, "malloc",
                         [lanes](benchmark::State& state) { server(state, lanes); });
        if (operations > 0) made->Iterations(static_cast<benchmark::IterationCount>(operations));
    }
    add_exchange("malloc-bleed", 1, small, operations);
    add("malloc-sleepers", 1000, "malloc", sleepers)->Iterations(1);
}

int say_whose() {
    Dl_info found{};
    void* p = ::dlsym(RTLD_DEFAULT, "malloc");
    if (!p || !::dladdr(p, &found)) return EXIT_FAILURE;
    std::printf("%s\n", found.dli_fname);
    return EXIT_SUCCESS;
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "--whose") == 0) return bench::say_whose();
    bench::add_benches(bench::operations_asked(argc, argv));
    return bench::run_benches(argc, argv);
}

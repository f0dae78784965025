// One contestant in one bench, as a benchmark of Google's library. Each repetition makes what it needs and warms up;
// then the clock runs for all operations in one batch, so that the loops are those of common/loops.hpp.
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/loops.hpp"
#include "common/resident.hpp"

namespace bench {

enum class work { pair, batch, random, grow, handoff };

struct job {
    std::string name;
    work kind;
    unsigned threads;
    size_range sizes;
    std::size_t blocks;  // live, or on their way, at most
    order freed = order::reverse;
    bool alone = false;          // the only one in its process, whose memory is then its own
    std::size_t operations = 0;  // 0: as many as fill the time

    std::size_t step() const {
        if (kind == work::batch) return freed == order::alternating ? 2 * blocks : blocks;
        return kind == work::grow ? operations : 1000;
    }
};

// What Google's library has resident, to be taken off what a process that is one turn has: its file, and
// the growth from the start of main() to the start of the bench.
inline long main_began_kib = 0, library_kib = 0;

inline long own_peak_kib() { return resident_peak_kib() - library_kib; }

// `function` is called by all threads of the bench at the same time.
inline benchmark::internal::Benchmark* add(const std::string& name, unsigned threads, const std::string& who,
                                           auto function) {
    const auto counted = [function](benchmark::State& state) {
        static std::once_flag once;
        std::call_once(once, [] { library_kib = resident_kib() - main_began_kib; });
        function(state);
    };
    return benchmark::RegisterBenchmark((name + '/' + std::to_string(threads) + ' ' + who).c_str(), counted)
        ->UseRealTime();
}

inline benchmark::IterationCount in_steps(const benchmark::State& state, std::size_t step) {
    const auto asked = static_cast<std::size_t>(state.max_iterations);
    return static_cast<benchmark::IterationCount>((asked + step - 1) / step * step);
}

// Threads wait for each other here: before they warm up, and at the end, inside the clock, so that all of them take as
// long as the last one.
class meeting_point {
public:
    void meet(unsigned threads) {
        const unsigned all = (arrived_++ / threads + 1) * threads;
        while (arrived_ < all) std::this_thread::yield();
    }

private:
    std::atomic<unsigned> arrived_ = 0;
};

// Called by all threads of the bench at the same time, for each repetition. Block: how a live block is kept.
template <class Source, class Block>
class subject {
public:
    subject(job what, std::string who, Source (*make)())
        : job_(std::move(what)), name_(std::move(who)), make_(make), bytes_(job_.sizes.most) {}

    void operator()(benchmark::State& state) {
        std::call_once(made_, [this] {
            if (job_.kind == work::handoff) between_ = std::make_unique<block_ring>(job_.blocks);
            before_kib_ = job_.alone ? resident_kib() - library_kib : 0;
            source_.emplace(make_());
        });
        switch (Source from = *source_; job_.kind) {
            case work::pair:
                return pair(state, from);
            case work::batch:
                return batch(state, from);
            case work::random:
                return random(state, from);
            case work::grow:
                return grow(state, from);
            case work::handoff:
                return handoff(state, from);
        }
    }

private:
    // work(n) is one thread's part of n operations; `warm_up` of them go before.
    void timed(benchmark::State& state, std::size_t warm_up, auto work) {
        together_.meet(job_.threads);
        if (warm_up > 0) work(warm_up);
        const auto n = in_steps(state, job_.step());
        while (state.KeepRunningBatch(n)) {
            work(static_cast<std::size_t>(n));
            together_.meet(job_.threads);
        }
        if (state.thread_index() != 0) return;
        state.SetLabel(name_);
        if (!job_.alone) return;
        state.counters["rss_before_kib"] = static_cast<double>(before_kib_);
        state.counters["rss_peak_kib"] = static_cast<double>(own_peak_kib());
    }

    // Beside mimalloc one block of the size stays in use, as in a program others would: without any its page falls
    // empty in every pair, which doubles what it does.
    void pair(benchmark::State& state, Source from) {
        void* other = job_.alone ? from.take(bytes_) : nullptr;
        timed(state, 10'000, [&](std::size_t n) { pairs(from, bytes_, n); });
        if (other) from.give(other, bytes_);
    }

    void batch(benchmark::State& state, Source from) {
        std::vector<void*> blocks(job_.blocks);
        timed(state, 10 * job_.step(), [&](std::size_t n) { batches(from, blocks, bytes_, job_.freed, n); });
    }

    // Each thread has live blocks of its own.
    void random(benchmark::State& state, Source from) {
        std::vector<Block> live(job_.blocks);
        dice rolls(static_cast<std::uint64_t>(state.thread_index()) + 1);
        for (Block& each : live) each = taken<Block>(from, job_.sizes, rolls.roll());
        timed(state, 5 * job_.blocks, [&](std::size_t n) { replacements(from, live, job_.sizes, rolls, n); });
        for (const Block& each : live) from.give(each.p, each.size());
    }

    // Nothing warms it up: the page faults of a fresh process are part of the first cycle.
    void grow(benchmark::State& state, Source from) {
        std::vector<void*> blocks(job_.blocks);
        timed(state, 0, [&](std::size_t n) { up_and_down(from, blocks, bytes_, n); });
    }

    void handoff(benchmark::State& state, Source from) {
        timed(state, 20'000, [&](std::size_t n) {
            state.thread_index() == 0 ? take_for_another(from, *between_, bytes_, n)
                                      : give_for_another(from, *between_, bytes_, n);
        });
    }

    const job job_;
    const std::string name_;
    Source (*const make_)();
    const std::size_t bytes_;
    std::once_flag made_;
    std::unique_ptr<block_ring> between_;
    long before_kib_ = 0;
    std::optional<Source> source_;
    meeting_point together_;
};

template <class Source, class Block = sized_block>
void add(const job& what, const std::string& who, Source (*make)()) {
    const auto kept = std::make_shared<subject<Source, Block>>(what, who, make);
    auto* made = add(what.name, what.threads, who, [kept](benchmark::State& state) { (*kept)(state); });
    if (what.threads > 1) made->Threads(static_cast<int>(what.threads));
    if (what.operations > 0) made->Iterations(static_cast<benchmark::IterationCount>(what.operations));
}

// The program's options are the library's and --operations=N: that many, as many as fill the time otherwise.
std::size_t operations_asked(int& argc, char** argv);
int run_benches(int argc, char** argv);

}  // namespace bench

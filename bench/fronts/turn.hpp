// One turn of one contestant in one front bench: what it needs is made, it warms up, then the clock runs.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "fronts/benches.hpp"
#include "fronts/loops.hpp"
#include "support/resident.hpp"
#include "support/team.hpp"

namespace bench {

// Contestant: made here, after all else, so that what is resident before it is not its own; source() gives blocks.
template <class Contestant>
class front_job {
public:
    front_job(const front_bench& b, std::size_t n) : bench_(b), n_(n), bytes_(b.sizes.most) {}

    front_turn run() {
        switch (bench_.work) {
            case front_work::pair:
                return pair();
            case front_work::batch:
                return batch();
            case front_work::random:
                return random();
            case front_work::grow:
                return grow();
            case front_work::handoff:
                return handoff();
        }
        return {};
    }

private:
    // work(source, n) is one thread's part of n operations. `warm_up` operations go before.
    template <class Work>
    front_turn timed(std::size_t warm_up, Work work) {
        front_turn result;
        result.before_kib = resident_kib();
        team threads(bench_.threads);
        Contestant who;
        if (warm_up > 0) threads.run([&](unsigned member) { work(who.source(), member, warm_up); });
        const double took = threads.run([&](unsigned member) { work(who.source(), member, n_); });
        result.ns = took / static_cast<double>(n_);
        return result;
    }

    // One block of the size stays in use, as in malloc-pair: without any mimalloc's page falls empty in every pair.
    front_turn pair() {
        void* other = nullptr;
        return timed(10'000, [&](auto from, unsigned, std::size_t n) {
            if (!other) other = from.take(bytes_);
            pairs(from, bytes_, n);
        });
    }

    front_turn batch() {
        std::vector<void*> blocks(bench_.blocks);
        return timed(10 * bench_.step, [&](auto from, unsigned, std::size_t n) { batches(from, blocks, bytes_, n); });
    }

    front_turn random() {
        std::vector<sized_block> live(bench_.blocks);
        dice rolls(1);
        return timed(5 * bench_.blocks, [&](auto from, unsigned, std::size_t n) {
            if (!live[0].p)
                for (sized_block& each : live) each = taken(from, bench_.sizes, rolls.roll());
            replacements(from, live, bench_.sizes, rolls, n);
        });
    }

    // Nothing warms it up: the page faults of a fresh process are part of the first cycle, as in malloc-grow.
    front_turn grow() {
        std::vector<void*> blocks(bench_.blocks);
        return timed(0, [&](auto from, unsigned, std::size_t n) { up_and_down(from, blocks, bytes_, n); });
    }

    front_turn handoff() {
        const auto between = std::make_unique<front_ring>(bench_.blocks);
        return timed(20'000, [&](auto from, unsigned member, std::size_t n) {
            member == 0 ? take_for_another(from, *between, bytes_, n) : give_for_another(from, *between, bytes_, n);
        });
    }

    const front_bench& bench_;
    const std::size_t n_, bytes_;
};

}  // namespace bench

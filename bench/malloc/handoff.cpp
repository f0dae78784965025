// Blocks that are taken by one thread and given back by another, through bounded rings.
#include <cstdlib>
#include <memory>
#include <vector>

#include "malloc/benches.hpp"
#include "support/resident.hpp"
#include "support/ring.hpp"
#include "support/team.hpp"

namespace bench {

namespace {

using block_ring = ring<void*, 4096>;

// One ring from every taker to every giver; both go round theirs in turn.
class exchange {
public:
    exchange(unsigned takers, size_range sizes) : takers_(takers), sizes_(sizes), rings_(takers * takers) {
        for (auto& each : rings_) each = std::make_unique<block_ring>();
        for (unsigned taker = 0; taker < takers; ++taker) random_.push_back({dice(taker + 1)});
    }

    // Members 0 .. takers - 1 take n blocks each, the others give back as many.
    void run(unsigned member, std::size_t n) { member < takers_ ? take(member, n) : give(member - takers_, n); }

private:
    struct alignas(128) own_dice {
        dice of;
    };

    void take(unsigned taker, std::size_t n) {
        dice random = random_[taker].of;
        for (std::size_t i = 0; i < n; ++i) {
            void* p = std::malloc(sizes_.of(random.roll()));
            write_byte(p);
            rings_[taker * takers_ + i % takers_]->push(p);
        }
        random_[taker].of = random;
    }

    void give(unsigned giver, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) std::free(rings_[i % takers_ * takers_ + giver]->pop());
    }

    const unsigned takers_;
    const size_range sizes_;
    std::vector<std::unique_ptr<block_ring>> rings_;
    std::vector<own_dice> random_;
};

}  // namespace

// n is a multiple of takers * takers, or a giver would wait for what no taker sends it.
measured handoff(unsigned takers, size_range sizes, std::size_t n) {
    exchange blocks(takers, sizes);
    team threads(2 * takers);
    threads.run([&](unsigned member) { blocks.run(member, 20'000); });
    const double took = threads.run([&](unsigned member) { blocks.run(member, n); });
    return {.ns = took / static_cast<double>(n), .after_kib = resident_kib()};
}

}  // namespace bench

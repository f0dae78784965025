// What pools over mimalloc and jemalloc are to reach against these without a pool.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "fronts/benches.hpp"
#include "support/summary.hpp"
#include "support/targets.hpp"

namespace bench {

namespace {

struct front_target {
    const char* library;
    double mean;        // times as fast, geometric mean of all benches
    double large_mean;  // of those from 1 to 32 KiB; 0: none
};

constexpr front_target front_targets[] = {{"mimalloc", 1.6, 3}, {"jemalloc", 2, 0}};
constexpr std::size_t large_bytes = 1024;
constexpr double peak_at_most = 1.1;

constexpr front_work works[] = {front_work::pair, front_work::batch, front_work::random, front_work::grow,
                                front_work::handoff};

bool any(const front_bench&) { return true; }
bool large(const front_bench& b) { return b.sizes.least >= large_bytes; }

class list {
public:
    explicit list(const std::vector<result>& all) : all_(all) {}

    // The bench in which the pool does worst.
    void slowest(const std::string& against) {
        const result* worst = nullptr;
        for (const result* r : measured(against, any))
            if (!worst || *r->ratio < *worst->ratio) worst = r;
        if (!worst) return;
        targets.push_back({fmt::format("pool, worst of the front benches, against {}", against), "faster",
                           fmt::format("{:.2f} times ({})", *worst->ratio, worst->bench), *worst->ratio > 1});
    }

    // Nothing where one bench was not measured, since the mean of some would be another figure.
    void mean(const std::string& against, bool (*those)(const front_bench&), double at_least) {
        const std::vector<const result*> found = measured(against, those);
        const auto& every = front_benches();
        if (static_cast<std::ptrdiff_t>(found.size()) != std::count_if(every.begin(), every.end(), those)) return;
        std::vector<double> ratios;
        for (const result* r : found) ratios.push_back(*r->ratio);
        const double reached = geometric_mean(ratios);
        targets.push_back(
            {fmt::format("pool, geometric mean{}, against {}", those == large ? " from 1 KiB on" : "", against),
             fmt::format("{:.3g} times as fast", at_least), fmt::format("{:.2f} times", reached), reached >= at_least});
    }

    // The worst of one kind of work over all sizes.
    void peak(front_work work, const std::string& front, const std::string& against) {
        double worst = 0;
        std::string where;
        for (const front_bench& b : front_benches()) {
            const result* ours = find(all_, b.name, b.threads, front);
            const result* theirs = find(all_, b.name, b.threads, against);
            if (b.work != work || !ours || !theirs || !ours->memory || !theirs->memory) continue;
            const double times = static_cast<double>(ours->memory->peak) / static_cast<double>(theirs->memory->peak);
            if (times <= worst) continue;
            worst = times;
            where = b.name;
        }
        if (where.empty()) return;
        targets.push_back({fmt::format("front-{}, peak memory, against {}", name_of(work), against),
                           fmt::format("within {:.3g} times", peak_at_most),
                           fmt::format("{:.2f} times ({})", worst, where), worst <= peak_at_most});
    }

    std::vector<target> targets;

private:
    std::vector<const result*> measured(const std::string& against, bool (*those)(const front_bench&)) const {
        std::vector<const result*> found;
        for (const front_bench& b : front_benches()) {
            const result* r = find(all_, b.name, b.threads, against);
            if (those(b) && r && r->ratio) found.push_back(r);
        }
        return found;
    }

    const std::vector<result>& all_;
};

}  // namespace

std::vector<target> front_targets_of(const std::vector<result>& results) {
    list all(results);
    for (const front_target& t : front_targets)
        for (const front_library& library : front_libraries()) {
            if (library.name != t.library) continue;
            for (const std::string& against : {library.direct, library.resource}) {
                all.slowest(against);
                all.mean(against, any, t.mean);
                if (t.large_mean > 0) all.mean(against, large, t.large_mean);
            }
            for (const front_work work : works) all.peak(work, library.front, library.direct);
        }
    return all.targets;
}

}  // namespace bench

#include "support/targets.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "compare/peers.hpp"

namespace bench {

const result* find(const std::vector<result>& all, const std::string& bench, unsigned threads, const std::string& who) {
    for (const result& each : all)
        if (each.bench == bench && each.threads == threads && each.who == who) return &each;
    return nullptr;
}

namespace {

// Tidepool is to be at least `at_least` times as fast as `against`. Below 1: slower by no more than the inverse.
struct speed_target {
    const char* bench;
    unsigned threads;
    const char* against;
    double at_least;
};

constexpr speed_target speed_targets[] = {
    {"pair", 1, "synchronized_pool_resource", 8},
    {"pair", 1, "unsynchronized_pool_resource", 3.5},
    {"pair", 1, "new_delete_resource", 3},
    {"pair", 1, "bump", 1 / 1.6},
    {"pair", 2, "synchronized_pool_resource", 30},
    {"batch-reverse", 1, "new_delete_resource", 2},
    {"batch-order", 1, "new_delete_resource", 2},
    {"handoff", 2, "new_delete_resource", 2},
    {"handoff", 2, "synchronized_pool_resource", 10},
    {"index", 3, "synchronized_pool_resource", 2},
    {"index", 3, "new_delete_resource", 1.15},
};

target speed(const speed_target& t, double ratio) {
    const std::string what =
        fmt::format("{}, {} thread{}, against {}", t.bench, t.threads, t.threads == 1 ? "" : "s", t.against);
    if (t.at_least < 1)
        return {what, fmt::format("within {:.2g} times", 1 / t.at_least), fmt::format("{:.2f} times", 1 / ratio),
                ratio >= t.at_least};
    return {what, fmt::format("{:.3g} times as fast", t.at_least), fmt::format("{:.2f} times", ratio),
            ratio >= t.at_least};
}

// Resident memory two ticks after the drop, against what it was before the job.
std::optional<target> decay(const std::vector<result>& results) {
    const result* ours = find(results, "index", 3, std::string(reference));
    if (!ours || !ours->memory) return {};
    const double share = static_cast<double>(ours->memory->after_decay) / static_cast<double>(ours->memory->before);
    return target{"index, resident two ticks after the drop, against before", "within 10 %",
                  fmt::format("{:+.1f} %", 100 * (share - 1)), share <= 1.1};
}

std::optional<target> idle(const std::vector<result>& results) {
    const result* ours = find(results, "idle", 1, std::string(reference));
    if (!ours || !ours->upstream_calls) return {};
    return target{"idle, a pool made and never used", "under 4 KiB, 0 upstream calls",
                  fmt::format("{:.2f} KiB, {} calls", ours->median, *ours->upstream_calls),
                  ours->median < 4 && *ours->upstream_calls == 0};
}

}  // namespace

std::vector<target> targets_of(const std::vector<result>& results) {
    std::vector<target> all;
    for (const speed_target& t : speed_targets) {
        const result* other = find(results, t.bench, t.threads, t.against);
        if (other && other->ratio) all.push_back(speed(t, *other->ratio));
    }
    for (const auto& each : {decay(results), idle(results)})
        if (each) all.push_back(*each);
    for (const auto of : {front_targets_of, tick_targets_of, malloc_targets_of, tide_targets_of})
        for (target& each : of(results)) all.push_back(std::move(each));
    return all;
}

}  // namespace bench

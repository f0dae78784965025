// The small benches of the pools, each in a process of its own.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compare/peers.hpp"
#include "micro/micro.hpp"
#include "support/child.hpp"
#include "support/session.hpp"

namespace bench {

namespace {

void run(session& now, micro_bench b) {
    std::erase_if(b.candidates, [&](const candidate& each) { return !now.wanted(b.name, b.threads, each.who); });
    if (b.candidates.empty()) return;
    const settings how{now.how.rounds_or(31, 11), now.how.quick ? 4.0 : 15.0};
    now.progress.bench(fmt::format("{}, {} thread{}", b.name, b.threads, b.threads == 1 ? "" : "s"),
                       fmt::format("{} contestants, {} rounds", b.candidates.size(), how.rounds));
    const std::vector<std::vector<double>> samples = in_child([&] {
        return nlohmann::json(measure(
            b, how, [&](unsigned round) { now.progress.step(fmt::format("round {} of {}", round + 1, how.rounds)); }));
    });
    std::vector<std::string> who;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        who.push_back(b.candidates[i].who);
        now.add(b.name, b.threads, "ns/pair", who.back(), samples[i]);
    }
    now.compare(who, samples, reference);
}

void run_idle(session& now) {
    for (const std::string& who : idle_candidates()) {
        if (!now.wanted("idle", 1, who)) continue;
        now.progress.bench("idle", who);
        const idle_result r = measure_idle(who, now.how.rounds_or(5, 3));
        now.add("idle", 1, "KiB/pool", who, r.samples_kib).upstream_calls = r.upstream_calls;
    }
}

}  // namespace

void run_pools(session& now) {
    for (unsigned threads : {1U, 2U}) run(now, pair_bench(threads));
    for (order freed : {order::reverse, order::in_order}) run(now, batch_bench(freed));
    run(now, handoff_bench());
    for (unsigned threads : {1U, 2U}) run(now, random_bench(threads));
    run_idle(now);
}

}  // namespace bench

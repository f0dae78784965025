// The main job of the pools, its input read once for both ways of running it.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "index/corpus.hpp"
#include "index/rounds.hpp"
#include "support/session.hpp"
#include "support/summary.hpp"

namespace bench {

namespace {

unsigned threads_of(const index_bench& b) { return b.how == threading::three ? 3 : 1; }

// What the table has no room for.
void note(session& now, const index_bench& b, const index_report& report) {
    now.input["words"] = report.words;
    now.input["positions"] = report.positions;
    now.notes += fmt::format("\n{}: {} words at {} places; median ms of each part, MiB resident\n", b.name,
                             report.words, report.positions);
    now.notes += fmt::format("  {:<30}{:>9}{:>9}{:>9}{:>9}{:>12}{:>10}{:>10}{:>10}{:>10}\n", "", "build", "merge",
                             "query", "drop", "before", "peak", "dropped", "ticked", "waited");
    for (std::size_t i = 0; i < b.who.size(); ++i) {
        const index_result& r = report.results[i];
        now.notes += fmt::format("  {:<30}", b.who[i].who);
        for (const char* phase : {"build", "merge", "query", "drop"}) {
            const double ms = median(r.phases_ms.at(phase));
            now.notes += fmt::format("{:>9.0f}", ms);
            now.phases[b.name][std::string(b.who[i].who)][phase] = ms;
        }
        now.notes += fmt::format("{:>12}{:>10}{:>10}{:>10}{:>10}\n", mib(r.memory.before), mib(r.memory.peak),
                                 mib(r.memory.after_drop), mib(r.memory.after_decay), mib(r.memory.after_wait));
    }
    if (!report.stats.empty())
        now.notes += fmt::format("\n{}: the pool's stats after the drop of the last round\n{}", b.name, report.stats);
}

void run(session& now, const index_bench& b, const corpus& input, const std::vector<query>& queries) {
    if (b.who.empty()) return;
    const unsigned rounds = now.how.rounds_or(10, 3);
    now.progress.bench(b.name,
                       fmt::format("{} contestants, {} rounds, {} files of text, {:.1f} MiB", b.who.size(), rounds,
                                   input.files().size(), static_cast<double>(input.text().size()) / (1 << 20)));
    const index_report report =
        measure(b, input.files(), queries, rounds, [&](const std::string& step) { now.progress.step(step); });
    std::vector<std::string> who;
    std::vector<std::vector<double>> samples;
    for (std::size_t i = 0; i < report.results.size(); ++i) {
        who.emplace_back(b.who[i].who);
        samples.push_back(report.results[i].samples_ms);
        now.add(b.name, threads_of(b), "ms", who.back(), samples.back()).memory = report.results[i].memory;
    }
    now.compare(who, samples, reference);
    note(now, b, report);
}

}  // namespace

void run_index(session& now) {
    index_bench three{"index", threading::three, {}, true};
    index_bench one{"index-1", threading::one, {}, false};
    for (const peer_kind& each : peers())
        if (each.any_thread && now.wanted(three.name, threads_of(three), each.who)) three.who.push_back(each);
    for (const peer_kind& each : peers())
        if (now.wanted(one.name, threads_of(one), each.who)) one.who.push_back(each);
    if (three.who.empty() && one.who.empty()) return;

    now.progress.bench("index", "reading the input");
    const corpus input({"/usr/include", "/usr/share"}, (now.how.quick ? 8U : 64U) << 20);
    const std::vector<query> queries = make_queries(input.text(), 4000);
    now.input = {{"bytes", input.text().size()}, {"files", input.files().size()}, {"queries", queries.size()}};
    run(now, three, input, queries);
    run(now, one, input, queries);
}

}  // namespace bench

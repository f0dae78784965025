// tidepool-bench: runs the benches and says what they gave. What each measures stands in README.md beside this file.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <tidepool/detail/fast_path.hpp>

#include "compare/peers.hpp"
#include "index/corpus.hpp"
#include "index/rounds.hpp"
#include "micro/micro.hpp"
#include "support/child.hpp"
#include "support/machine.hpp"
#include "support/report.hpp"
#include "support/summary.hpp"

namespace {

using nlohmann::json;

struct options {
    std::string json_file;
    std::string only;
    unsigned rounds = 0;
    bool quick = false;
    bool list = false;

    unsigned rounds_or(unsigned full, unsigned short_run) const { return rounds ? rounds : quick ? short_run : full; }
};

class program {
public:
    explicit program(const options& how) : how_(how), only_(how.only) {}

    int run() {
        const json machine = bench::machine();
        if (!how_.json_file.empty() && !std::ofstream(how_.json_file, std::ios::app)) return refused();
        for (unsigned threads : {1U, 2U}) micro(bench::pair_bench(threads));
        for (bench::order freed : {bench::order::reverse, bench::order::in_order}) micro(bench::batch_bench(freed));
        micro(bench::handoff_bench());
        for (unsigned threads : {1U, 2U}) micro(bench::random_bench(threads));
        idle();
        index();
        if (how_.list) return EXIT_SUCCESS;
        progress_.done();

        bench::print_table(results_);
        fmt::print("{}", notes_);
        const std::vector<bench::target> targets = bench::targets_of(results_);
        bench::print_targets(targets);
        if (how_.quick) fmt::print("\n--quick: few and short rounds; not for quoting.\n");
        if constexpr (tidepool::detail::always_slow) fmt::print("\nNot a release build: not for quoting.\n");
        if (how_.json_file.empty()) return EXIT_SUCCESS;
        return write({{"machine", machine},
                      {"quick", how_.quick},
                      {"input", input_},
                      {"results", bench::to_json(results_)},
                      {"phases", phases_},
                      {"targets", bench::to_json(targets)}});
    }

private:
    bool wanted(const std::string& bench, unsigned threads, const std::string& who) const {
        const std::string text = fmt::format("{}/{} {}", bench, threads, who);
        if (!how_.only.empty() && !std::regex_search(text, only_)) return false;
        if (how_.list) fmt::print("{}\n", text);
        return true;
    }

    void add(const std::string& bench, unsigned threads, const std::string& unit, const std::string& who,
             const std::vector<double>& samples) {
        bench::result r{bench, who, threads, unit};
        r.median = bench::median(samples);
        r.min = *std::min_element(samples.begin(), samples.end());
        r.max = *std::max_element(samples.begin(), samples.end());
        r.rounds = static_cast<unsigned>(samples.size());
        results_.push_back(std::move(r));
    }

    // Gives the last who.size() results their ratios.
    void compare(const std::vector<std::string>& who, const std::vector<std::vector<double>>& samples) {
        const auto ours = std::find(who.begin(), who.end(), bench::reference);
        if (ours == who.end()) return;
        const std::vector<double>& reference = samples[static_cast<std::size_t>(ours - who.begin())];
        const std::size_t first = results_.size() - who.size();
        for (std::size_t i = 0; i < who.size(); ++i)
            results_[first + i].ratio = bench::median_ratio(samples[i], reference);
    }

    void micro(bench::micro_bench b) {
        std::erase_if(b.candidates, [&](const bench::candidate& each) { return !wanted(b.name, b.threads, each.who); });
        if (how_.list || b.candidates.empty()) return;
        const bench::settings settings{how_.rounds_or(31, 11), how_.quick ? 4.0 : 15.0};
        progress_.bench(fmt::format("{}, {} thread{}", b.name, b.threads, b.threads == 1 ? "" : "s"),
                        fmt::format("{} contestants, {} rounds", b.candidates.size(), settings.rounds));
        const std::vector<std::vector<double>> samples = bench::in_child([&] {
            return json(bench::measure(b, settings, [&](unsigned round) {
                progress_.step(fmt::format("round {} of {}", round + 1, settings.rounds));
            }));
        });
        std::vector<std::string> who;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            who.push_back(b.candidates[i].who);
            add(b.name, b.threads, "ns/pair", who.back(), samples[i]);
        }
        compare(who, samples);
    }

    void idle() {
        for (const std::string& who : bench::idle_candidates()) {
            if (!wanted("idle", 1, who) || how_.list) continue;
            progress_.bench("idle", who);
            const bench::idle_result r = bench::measure_idle(who, how_.rounds_or(5, 3));
            add("idle", 1, "KiB/pool", who, r.samples_kib);
            results_.back().upstream_calls = r.upstream_calls;
        }
    }

    static unsigned threads_of(const bench::index_bench& b) { return b.how == bench::threading::three ? 3 : 1; }

    void index() {
        bench::index_bench three{"index", bench::threading::three, {}, true};
        bench::index_bench one{"index-1", bench::threading::one, {}, false};
        for (const bench::peer_kind& each : bench::peers())
            if (each.any_thread && wanted(three.name, threads_of(three), std::string(each.who)))
                three.who.push_back(each);
        for (const bench::peer_kind& each : bench::peers())
            if (wanted(one.name, threads_of(one), std::string(each.who))) one.who.push_back(each);
        if (how_.list || (three.who.empty() && one.who.empty())) return;

        progress_.bench("index", "reading the input");
        const bench::corpus input({"/usr/include", "/usr/share"}, (how_.quick ? 8U : 64U) << 20);
        const std::vector<bench::query> queries = bench::make_queries(input.text(), 4000);
        input_ = {{"bytes", input.text().size()}, {"files", input.files().size()}, {"queries", queries.size()}};
        for (const bench::index_bench& each : {three, one})
            if (!each.who.empty()) index(each, input, queries);
    }

    void index(const bench::index_bench& b, const bench::corpus& input, const std::vector<bench::query>& queries) {
        const unsigned rounds = how_.rounds_or(10, 3);
        progress_.bench(b.name,
                        fmt::format("{} contestants, {} rounds, {} files of text, {:.1f} MiB", b.who.size(), rounds,
                                    input.files().size(), static_cast<double>(input.text().size()) / (1 << 20)));
        const bench::index_report report =
            bench::measure(b, input.files(), queries, rounds, [&](const std::string& now) { progress_.step(now); });
        std::vector<std::string> who;
        std::vector<std::vector<double>> samples;
        for (std::size_t i = 0; i < report.results.size(); ++i) {
            who.emplace_back(b.who[i].who);
            samples.push_back(report.results[i].samples_ms);
            add(b.name, threads_of(b), "ms", who.back(), samples.back());
            results_.back().memory = report.results[i].memory;
        }
        compare(who, samples);
        note(b, report);
    }

    // What the table has no room for.
    void note(const bench::index_bench& b, const bench::index_report& report) {
        input_["words"] = report.words;
        input_["positions"] = report.positions;
        notes_ += fmt::format("\n{}: {} words at {} places; median ms of each part, MiB resident\n", b.name,
                              report.words, report.positions);
        notes_ += fmt::format("  {:<30}{:>9}{:>9}{:>9}{:>9}{:>12}{:>10}{:>10}{:>10}{:>10}\n", "", "build", "merge",
                              "query", "drop", "before", "peak", "dropped", "ticked", "waited");
        for (std::size_t i = 0; i < b.who.size(); ++i) {
            const bench::index_result& r = report.results[i];
            notes_ += fmt::format("  {:<30}", b.who[i].who);
            for (const char* phase : {"build", "merge", "query", "drop"}) {
                const double ms = bench::median(r.phases_ms.at(phase));
                notes_ += fmt::format("{:>9.0f}", ms);
                phases_[b.name][std::string(b.who[i].who)][phase] = ms;
            }
            const auto mib = [](long kib) { return kib ? fmt::format("{:.1f}", static_cast<double>(kib) / 1024) : ""; };
            notes_ += fmt::format("{:>12}{:>10}{:>10}{:>10}{:>10}\n", mib(r.memory.before), mib(r.memory.peak),
                                  mib(r.memory.after_drop), mib(r.memory.after_decay), mib(r.memory.after_wait));
        }
        if (!report.stats.empty())
            notes_ += fmt::format("\n{}: the pool's stats after the drop of the last round\n{}", b.name, report.stats);
    }

    int write(const json& all) const {
        std::ofstream out(how_.json_file);
        out << all.dump(2) << '\n';
        out.close();
        return out ? EXIT_SUCCESS : refused();
    }

    int refused() const {
        fmt::print(stderr, "cannot write {}\n", how_.json_file);
        return EXIT_FAILURE;
    }

    options how_;
    std::regex only_;
    bench::progress progress_;
    std::vector<bench::result> results_;
    std::string notes_;
    json input_ = json::object(), phases_ = json::object();
};

}  // namespace

int main(int argc, char** argv) {
    options how;
    CLI::App app("Tidepool beside the standard's pools, on the same work, in turn.");
    app.add_option("--json", how.json_file, "Also write the results to this file")->type_name("FILE");
    app.add_option("--only", how.only, "Only what matches in \"BENCH/THREADS WHO\"; see --list")->type_name("REGEX");
    app.add_option("--rounds", how.rounds, "Rounds of each bench")->check(CLI::Range(1, 100000));
    app.add_flag("--quick", how.quick, "Less input, fewer and shorter rounds: under a minute");
    app.add_flag("--list", how.list, "Say what there is and stop");
    CLI11_PARSE(app, argc, argv);
    try {
        return program(how).run();
    } catch (const std::exception& e) {
        fmt::print(stderr, "\ntidepool-bench: {}\n", e.what());
        return EXIT_FAILURE;
    }
}

// tidepool-bench: runs the benches and says what they gave. What each measures stands in README.md beside this file.
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <tidepool/detail/fast_path.hpp>

#include "support/machine.hpp"
#include "support/report.hpp"
#include "support/session.hpp"
#include "support/targets.hpp"

namespace {

int refused(const std::string& file) {
    fmt::print(stderr, "cannot write {}\n", file);
    return EXIT_FAILURE;
}

int write(const std::string& file, const std::string& text) {
    std::ofstream out(file);
    out << text;
    out.close();
    return out ? EXIT_SUCCESS : refused(file);
}

int run(const bench::options& how) {
    const nlohmann::json machine = bench::machine();
    for (const std::string& file : {how.json_file, how.csv_file})
        if (!file.empty() && !std::ofstream(file, std::ios::app)) return refused(file);
    bench::session now(how);
    int status = EXIT_SUCCESS;
    try {
        for (const auto part : {bench::run_pools, bench::run_fronts, bench::run_index, bench::run_mallocs,
                                bench::run_programs, bench::run_tides})
            part(now);
    } catch (const std::exception& e) {
        // What is measured already is worth reporting.
        fmt::print(stderr, "\ntidepool-bench: {}\n", e.what());
        status = EXIT_FAILURE;
    }
    if (how.list) return EXIT_SUCCESS;
    now.progress.done();

    bench::print_table(now.results);
    fmt::print("{}", now.notes);
    const std::vector<bench::target> targets = bench::targets_of(now.results);
    bench::print_targets(targets);
    if (how.quick) fmt::print("\n--quick: few and short rounds; not for quoting.\n");
    if constexpr (tidepool::detail::always_slow) fmt::print("\nNot a release build: not for quoting.\n");
    if (!now.missing.empty()) {
        fmt::print("\nnot measured, being missing: {}\n", fmt::join(now.missing, " "));
        status = EXIT_FAILURE;
    }
    if (!how.json_file.empty()) {
        const nlohmann::json all{{"machine", machine},   {"quick", how.quick},
                                 {"input", now.input},   {"results", bench::to_json(now.results)},
                                 {"phases", now.phases}, {"targets", bench::to_json(targets)}};
        if (write(how.json_file, all.dump(2) + '\n') != EXIT_SUCCESS) status = EXIT_FAILURE;
    }
    if (!how.csv_file.empty() && write(how.csv_file, now.csv) != EXIT_SUCCESS) status = EXIT_FAILURE;
    return status;
}

}  // namespace

int main(int argc, char** argv) {
    bench::options how;
    CLI::App app("Tidepool beside the standard's pools, and its malloc beside others, on the same work, in turn.");
    app.add_option("--json", how.json_file, "Also write the results to this file")->type_name("FILE");
    app.add_option("--csv", how.csv_file, "Also write the tide's resident memory over time to this file")
        ->type_name("FILE");
    app.add_option("--only", how.only, "Only what matches in \"BENCH/THREADS WHO\"; see --list")->type_name("REGEX");
    app.add_option("--rounds", how.rounds, "Rounds of each bench")->check(CLI::Range(1, 100000));
    app.add_flag("--quick", how.quick, "Less input, fewer and shorter rounds: three minutes");
    app.add_flag("--peers", how.peers, "Run the real programs on mimalloc, jemalloc and tcmalloc, too");
    app.add_flag("--list", how.list, "Say what there is and stop");
    CLI11_PARSE(app, argc, argv);
    try {
        return run(how);
    } catch (const std::exception& e) {
        fmt::print(stderr, "\ntidepool-bench: {}\n", e.what());
        return EXIT_FAILURE;
    }
}

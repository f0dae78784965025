// Real programs under libc's malloc and Tidepool's, in turns. One run before the rounds brings their files into memory;
// what comes out of it all the others must bring out, too.
#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compare/mallocs.hpp"
#include "programs/programs.hpp"
#include "support/files.hpp"
#include "support/session.hpp"
#include "support/summary.hpp"
#include "support/turns.hpp"

namespace bench {

namespace {

constexpr const char* as_shipped = "as shipped";

std::vector<malloc_kind> contestants(session& now, const real_program& program) {
    std::vector<malloc_kind> all = mallocs();
    if (!now.how.peers) all.resize(2);
    std::vector<malloc_kind> found = now.those_wanted(all, program.name, program.threads);
    if (program.brings_its_own && now.wanted(program.name, program.threads, as_shipped))
        found.push_back({as_shipped, ""});
    return found;
}

// Median over the runs of one of their figures.
template <class Figure>
auto median_of(const std::vector<program_run>& runs, Figure figure) {
    std::vector<decltype(figure(runs.front()))> values;
    for (const program_run& each : runs) values.push_back(figure(each));
    return median(values);
}

// Where a program tells the parts of its work: what each took.
void note_parts(session& now, const std::string& bench, const std::string& who, const std::vector<program_run>& runs) {
    std::string line;
    for (std::size_t i = 0; i < runs.front().parts_ms.size(); ++i) {
        const std::string& name = runs.front().parts_ms[i].first;
        const double ms = median_of(runs, [&](const program_run& r) { return r.parts_ms.at(i).second; });
        now.phases[bench][who][name] = ms;
        line += fmt::format("  {} {:.0f}", name, ms);
    }
    if (!line.empty()) now.notes += fmt::format("    {}\n", line);
}

void run(session& now, const real_program& program) {
    const std::vector<malloc_kind> kinds = contestants(now, program);
    if (kinds.empty()) return;
    const unsigned rounds = now.how.rounds_or(11, 3);
    now.progress.bench(program.name, fmt::format("{} contestants, {} rounds", kinds.size(), rounds));
    const scratch_folder folder;
    const auto run_once = program.prepare(folder.path(), now.how.quick);
    const std::string outcome = run_once("").outcome;

    std::vector<std::vector<program_run>> runs(kinds.size());
    in_turn(rounds, kinds.size(), [&](unsigned round, std::size_t i) {
        now.progress.step(fmt::format("round {} of {}, {}", round + 1, rounds, kinds[i].who));
        runs[i].push_back(run_once(kinds[i].library));
        if (runs[i].back().outcome != outcome)
            throw std::runtime_error(fmt::format("{} brought out something else under {}", program.name, kinds[i].who));
    });

    std::vector<std::string> who;
    std::vector<std::vector<double>> samples;
    now.notes += fmt::format("\n{}: all brought out the same; median ms of processor time\n", program.name);
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        who.push_back(kinds[i].who);
        samples.emplace_back();
        for (const program_run& each : runs[i]) samples.back().push_back(each.wall_ms);
        result& r = now.add(program.name, program.threads, "ms", who.back(), samples.back());
        r.memory = memory_use{.peak = median_of(runs[i], [](const program_run& each) { return each.peak_kib; })};
        r.cpu_ms = median_of(runs[i], [](const program_run& each) { return each.cpu_ms; });
        now.notes += fmt::format("  {:<30}{:>9.0f}\n", who.back(), *r.cpu_ms);
        note_parts(now, program.name, who.back(), runs[i]);
    }
    now.compare(who, samples, shim);
}

}  // namespace

void run_programs(session& now) {
    for (const real_program& each : {compiler(), json_in_threads(), sort_lines(), redis()}) run(now, each);
}

}  // namespace bench

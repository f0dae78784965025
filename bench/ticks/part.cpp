#include "ticks/part.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compare/mallocs.hpp"
#include "support/command.hpp"
#include "support/runs.hpp"
#include "support/turns.hpp"
#include "ticks/names.hpp"

namespace bench {

namespace {

using nlohmann::json;

// A line of the table for each of these.
struct figure {
    const char* bench;
    const char* field;
    const char* unit;
};

constexpr figure of_operations[] = {
    {hold_up_p999, "p999_us", "us"},
    {hold_up_with_tick, "with_tick_calm_us", "us"},
    {hold_up_with_tick_all, "with_tick_us", "us"},
    {hold_up_calm, "longest_calm_us", "us"},
    {hold_up_all, "longest_us", "us"},
};
constexpr figure of_ticks{hold_up_share, "ticking_percent", "% of a cpu"};

bool by_hand(const std::string& who) { return who.ends_with(", by hand"); }
bool unticked(const std::string& who) { return who.ends_with(", no ticks"); }
bool about_ticks(const figure& f) {
    return f.bench == std::string(hold_up_with_tick) || f.bench == std::string(hold_up_with_tick_all);
}

std::string note(const std::string& who, const std::vector<json>& runs) {
    const auto of = [&](const char* field) { return median(values(runs, field)); };
    return fmt::format("{:<26}{:>10.0f} {:>8.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>12.0f} {:>10.1f}\n", who,
                       of("operations"), of("ticks"), of("performed"), of("beside"), of("switches"),
                       of("blocks_cached"), of("blocks_returned"), of("performed_median_us"));
}

}  // namespace

void run_hold_up(session& now, const std::string& there) {
    std::vector<std::string> who;
    std::istringstream names(there);
    for (std::string each; std::getline(names, each);)
        if (each.find(", ") != std::string::npos && now.wanted(hold_up_name, hold_up_threads, each))
            who.push_back(each);
    if (who.empty()) return;
    const unsigned rounds = now.how.rounds_or(3, 1);
    const std::string seconds = now.how.quick ? "4" : "10";
    now.progress.bench(hold_up_name, fmt::format("{} contestants, {} rounds", who.size(), rounds));
    all_runs runs(who.size());
    in_turn(rounds, who.size(), [&](unsigned round, std::size_t i) {
        now.progress.step(fmt::format("round {} of {}", round + 1, rounds));
        runs[i].push_back(json::parse(run({{front_program(), hold_up_name, who[i], seconds}}).output));
    });

    const auto add = [&](const figure& f, std::size_t i) {
        now.add(f.bench, hold_up_threads, f.unit, who[i], values(runs[i], f.field));
    };
    for (const figure& f : of_operations)
        for (std::size_t i = 0; i < who.size(); ++i)
            if (!unticked(who[i]) || !about_ticks(f)) add(f, i);
    for (std::size_t i = 0; i < who.size(); ++i)
        if (by_hand(who[i])) add(of_ticks, i);

    now.notes +=
        fmt::format("\n{:<26}{:>10} {:>8} {:>10} {:>10} {:>10} {:>10} {:>12} {:>10}\n", hold_up_name, "operations",
                    "ticks", "performing", "beside", "switches", "cached", "handed down", "median us");
    for (std::size_t i = 0; i < who.size(); ++i) now.notes += note(who[i], runs[i]);
    for (std::size_t i = 0; i < who.size(); ++i) now.phases[hold_up_name][who[i]] = runs[i];
}

}  // namespace bench

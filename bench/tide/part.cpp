// The tide: tidepool-tide, run once for each turn of each contestant, and what it saw over time as a CSV file.
#include <algorithm>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compare/mallocs.hpp"
#include "support/command.hpp"
#include "support/session.hpp"
#include "support/summary.hpp"
#include "support/turns.hpp"
#include "tide/tide.hpp"

namespace bench {

namespace {

using nlohmann::json;

constexpr std::size_t quick_mib = 128;

std::string program() { return std::filesystem::path(malloc_program()).parent_path() / "tidepool-tide"; }

json once(std::string_view variant, std::string_view who, bool quick) {
    const std::size_t mib = quick ? quick_mib : tide::flood_bytes >> 20;
    return json::parse(run({{program(), std::string(variant), std::string(who), std::to_string(mib)}}).output);
}

double value(const json& at, std::size_t i) { return at.at(i).get<double>(); }

// The samples of one run as lines of the file. Of those that say nothing new the last is kept, so that lines drawn from
// point to point are as the samples were, within 1 MiB; and one every half second.
void add_lines(std::string& csv, std::string_view variant, std::string_view who, const json& samples) {
    const json* written = nullptr;
    const json* skipped = nullptr;
    const auto write = [&](const json& s) {
        csv += fmt::format("{},{},{:.2f},{:.1f},{:.1f}\n", variant, who, value(s, 0), value(s, 1), value(s, 2));
        written = &s;
        skipped = nullptr;
    };
    for (const json& s : samples) {
        const bool news = !written || std::abs(value(s, 1) - value(*written, 1)) > 1 ||
                          std::abs(value(s, 2) - value(*written, 2)) > 1 ||
                          (value(s, 2) == 0) != (value(*written, 2) == 0) || value(s, 0) - value(*written, 0) > 0.5;
        if (news && skipped) write(*skipped);
        news ? write(s) : void(skipped = &s);
    }
    if (skipped) write(*skipped);
}

long median_of(const std::vector<json>& runs, const char* field) {
    std::vector<long> values;
    for (const json& each : runs) values.push_back(each.at(field));
    return median(values);
}

bool is_tidepool(std::string_view who) { return who.rfind("tidepool/", 0) == 0; }

// The longest of all rounds, in seconds; infinite where a pool still held something in the end.
double emptied_after(const std::vector<json>& runs) {
    double longest = 0;
    for (const json& each : runs) {
        const json& s = each.at("empty_after_s");
        const bool empty = !s.is_null() && each.at("upstream_bytes") == 0;
        longest = std::max(longest, empty ? s.get<double>() : std::numeric_limits<double>::infinity());
    }
    return longest;
}

void add(session& now, const std::string& name, std::string_view who, const std::vector<json>& runs) {
    std::vector<double> left;
    for (const json& each : runs)
        left.push_back((each.at("purged_kib").get<double>() - each.at("before_kib").get<double>()) / 1024);
    result& r = now.add(name, tide::takers + tide::freers, "MiB left", std::string(who), left);
    r.memory = {.before = median_of(runs, "before_kib"),
                .peak = median_of(runs, "peak_kib"),
                .after_drop = median_of(runs, "dropped_kib"),
                .after_decay = median_of(runs, "quiet_kib")};
    if (is_tidepool(who)) r.empty_after_s = emptied_after(runs);
    now.notes +=
        fmt::format("  {:<20}{:<20}{:>10}{:>12}{:>12}{:>14.2f}\n", name, who,
                    r.empty_after_s ? fmt::format("{:.2f}", *r.empty_after_s) : "", mib(r.memory->after_decay),
                    mib(median_of(runs, "purged_kib")), static_cast<double>(median_of(runs, "lazy_kib")) / 1024);
}

void run_variant(session& now, std::string_view variant) {
    const std::string name = fmt::format("tide-{}", variant);
    std::vector<std::string_view> who;
    for (const std::string_view each : tide::contestants)
        if (now.wanted(name, tide::takers + tide::freers, each)) who.push_back(each);
    if (who.empty()) return;
    if (!std::filesystem::exists(program())) {
        now.missing.insert("tidepool-tide");
        return;
    }
    const unsigned rounds = now.how.rounds_or(3, 1);
    now.progress.bench(name, fmt::format("{} contestants, {} rounds", who.size(), rounds));
    std::vector<std::vector<json>> runs(who.size());
    in_turn(rounds, who.size(), [&](unsigned round, std::size_t i) {
        now.progress.step(fmt::format("round {} of {}, {}", round + 1, rounds, who[i]));
        runs[i].push_back(once(variant, who[i], now.how.quick));
    });
    if (now.csv.empty()) {
        now.csv = "variant,who,seconds,rss_mib,held_mib\n";
        now.notes += fmt::format("\n  {:<40}{:>10}{:>12}{:>12}{:>14}\n", "tide: MiB resident", "empty, s", "left alone",
                                 "purged", "of it lazily");
    }
    for (std::size_t i = 0; i < who.size(); ++i) {
        add(now, name, who[i], runs[i]);
        add_lines(now.csv, variant, who[i], runs[i].back().at("samples"));
    }
}

}  // namespace

void run_tides(session& now) {
    for (const std::string_view each : tide::variants)
        if (!now.how.quick || each == tide::left_alone || !now.how.only.empty()) run_variant(now, each);
}

}  // namespace bench

// One run of the driver: what was asked for, what was measured so far. The parts of the bench, one file each, add to it
// in turn; main.cpp prints and writes it.
#pragma once

#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "compare/mallocs.hpp"
#include "support/report.hpp"
#include "support/result.hpp"

namespace bench {

struct options {
    std::string json_file;
    std::string csv_file;
    std::string only;
    unsigned rounds = 0;
    bool quick = false;
    bool list = false;
    bool peers = false;

    unsigned rounds_or(unsigned full, unsigned short_run) const { return rounds ? rounds : quick ? short_run : full; }
};

struct session {
    explicit session(const options& asked) : how(asked), only_(asked.only) {}

    // Whether to run this; with --list it is printed instead.
    bool wanted(const std::string& bench, unsigned threads, std::string_view who) const;

    // Those of them to run it under, each with its library found; what is missing is left out and said once.
    std::vector<malloc_kind> those_wanted(const std::vector<malloc_kind>& all, const std::string& bench,
                                          unsigned threads);

    // One contestant's samples become a line of the table.
    result& add(const std::string& bench, unsigned threads, const std::string& unit, const std::string& who,
                const std::vector<double>& samples);

    // Gives the last who.size() results their ratios to `reference`, where that took part.
    void compare(const std::vector<std::string>& who, const std::vector<std::vector<double>>& samples,
                 std::string_view reference);

    const options how;
    bench::progress progress;
    std::vector<result> results;
    std::string notes;              // what the table has no room for
    std::string csv;                // resident memory over time, of the tide
    std::set<std::string> missing;  // mallocs that were wanted and are not there
    nlohmann::json input = nlohmann::json::object(), phases = nlohmann::json::object();

private:
    std::regex only_;
};

// The parts. Each passes over what is not wanted.
void run_pools(session& now);
void run_fronts(session& now);
void run_index(session& now);
void run_mallocs(session& now);
void run_programs(session& now);
void run_tides(session& now);

}  // namespace bench

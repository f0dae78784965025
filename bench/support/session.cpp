#include "support/session.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "support/summary.hpp"

namespace bench {

bool session::wanted(const std::string& bench, unsigned threads, std::string_view who) const {
    const std::string text = fmt::format("{}/{} {}", bench, threads, who);
    if (!how.only.empty() && !std::regex_search(text, only_)) return false;
    if (how.list) fmt::print("{}\n", text);
    return !how.list;
}

std::vector<malloc_kind> session::those_wanted(const std::vector<malloc_kind>& all, const std::string& bench,
                                               unsigned threads) {
    std::vector<malloc_kind> found;
    for (malloc_kind each : all) {
        if (!wanted(bench, threads, each.who)) continue;
        try {
            each.library = located(each);
            found.push_back(each);
        } catch (const std::runtime_error& e) {
            if (missing.insert(each.who).second) fmt::print(stderr, "\nnot measured: {}\n", e.what());
        }
    }
    return found;
}

result& session::add(const std::string& bench, unsigned threads, const std::string& unit, const std::string& who,
                     const std::vector<double>& samples) {
    result r{bench, who, threads, unit};
    r.median = median(samples);
    r.min = *std::min_element(samples.begin(), samples.end());
    r.max = *std::max_element(samples.begin(), samples.end());
    r.rounds = static_cast<unsigned>(samples.size());
    results.push_back(std::move(r));
    return results.back();
}

void session::compare(const std::vector<std::string>& who, const std::vector<std::vector<double>>& samples,
                      std::string_view reference) {
    const auto ours = std::find(who.begin(), who.end(), reference);
    if (ours == who.end()) return;
    const std::vector<double>& base = samples[static_cast<std::size_t>(ours - who.begin())];
    const std::size_t first = results.size() - who.size();
    for (std::size_t i = 0; i < who.size(); ++i) results[first + i].ratio = median_ratio(samples[i], base);
}

}  // namespace bench

#include "support/report.hpp"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bench {

namespace {

std::string number(double value) {
    if (value >= 1000) return fmt::format("{:.0f}", value);
    if (value >= 100) return fmt::format("{:.1f}", value);
    return fmt::format("{:.2f}", value);
}

std::string times(const result& r) { return r.ratio ? fmt::format("{:.2f} times", *r.ratio) : ""; }

}  // namespace

std::string mib(long kib) { return kib ? fmt::format("{:.1f}", static_cast<double>(kib) / 1024) : ""; }

void print_table(const std::vector<result>& results) {
    fmt::print("{:<21}{:>4}  {:<30}{:>9} {:<10}{:>18}{:>13}{:>10}{:>10}{:>10}{:>10}\n", "bench", "thr", "who", "median",
               "unit", "min - max", "to tidepool", "MiB peak", "dropped", "ticked", "before");
    std::string last;
    for (const result& r : results) {
        const std::string key = fmt::format("{} {}", r.bench, r.threads);
        if (key != last) fmt::print("\n");
        last = key;
        fmt::print("{:<21}{:>4}  {:<30}{:>9} {:<10}{:>18}{:>13}", r.bench, r.threads, r.who, number(r.median), r.unit,
                   number(r.min) + " - " + number(r.max), times(r));
        if (r.memory)
            fmt::print("{:>10}{:>10}{:>10}{:>10}", mib(r.memory->peak), mib(r.memory->after_drop),
                       mib(r.memory->after_decay), mib(r.memory->before));
        fmt::print("\n");
    }
}

void print_targets(const std::vector<target>& targets) {
    if (targets.empty()) return;
    fmt::print("\ntargets\n");
    for (const target& t : targets)
        fmt::print("  {:<6}  {:<58}  {:<30}  reached {}\n", t.ok ? "ok" : "missed", t.what, t.limit, t.reached);
}

nlohmann::json to_json(const std::vector<result>& results) {
    nlohmann::json all = nlohmann::json::array();
    for (const result& r : results) {
        nlohmann::json one{{"bench", r.bench},   {"who", r.who}, {"threads", r.threads}, {"unit", r.unit},
                           {"median", r.median}, {"min", r.min}, {"max", r.max},         {"rounds", r.rounds}};
        if (r.ratio) one["ratio"] = *r.ratio;
        if (r.upstream_calls) one["upstream_calls"] = *r.upstream_calls;
        if (r.cpu_ms) one["cpu_ms"] = *r.cpu_ms;
        if (r.empty_after_s) one["empty_after_s"] = *r.empty_after_s;
        if (r.memory) {
            const std::pair<const char*, long> figures[] = {{"rss_before_kib", r.memory->before},
                                                            {"rss_peak_kib", r.memory->peak},
                                                            {"rss_after_drop_kib", r.memory->after_drop},
                                                            {"rss_after_decay_kib", r.memory->after_decay},
                                                            {"rss_after_wait_kib", r.memory->after_wait}};
            for (const auto& [name, kib] : figures)
                if (kib) one[name] = kib;
        }
        all.push_back(std::move(one));
    }
    return all;
}

nlohmann::json to_json(const std::vector<target>& targets) {
    nlohmann::json all = nlohmann::json::array();
    for (const target& t : targets)
        all.push_back({{"what", t.what}, {"limit", t.limit}, {"reached", t.reached}, {"ok", t.ok}});
    return all;
}

progress::progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void progress::bench(const std::string& name, const std::string& about) {
    bench_ = name;
    if (terminal_)
        step(about);
    else
        fmt::print(stderr, "{}: {}\n", name, about);
}

void progress::step(const std::string& now) {
    if (!terminal_) return;
    fmt::print(stderr, "\r\x1b[K{}: {}", bench_, now);  // ESC [ K: erase to the end of the line
    std::fflush(stderr);
}

void progress::done() {
    if (terminal_) fmt::print(stderr, "\r\x1b[K");
}

}  // namespace bench

#include "index/rounds.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/child.hpp"
#include "support/escape.hpp"
#include "support/resident.hpp"
#include "support/summary.hpp"
#include "support/turns.hpp"

namespace bench {

namespace {

using nlohmann::json;

// Two and a half of Tidepool's default decay intervals.
constexpr auto wait_time = std::chrono::milliseconds(2500);

// The job over a little text, in memory that goes away again: the code of the job is then resident before the count,
// and the heap is as it was.
void bring_in_code(std::string_view text, const std::vector<query>& queries) {
    constexpr std::size_t bytes = 64U << 20;
    void* pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    {
        std::pmr::monotonic_buffer_resource scratch(pages, bytes);
        run_job({text.substr(0, 64U << 10)}, queries, &scratch, threading::one);
    }
    ::munmap(pages, bytes);
}

// What a program does that has little to do: a burst of a thousand blocks, a hundred times a second.
void trickle(std::pmr::memory_resource* resource) {
    std::vector<void*> blocks(1000);
    const auto until = std::chrono::steady_clock::now() + wait_time;
    while (std::chrono::steady_clock::now() < until) {
        for (void*& p : blocks) p = resource->allocate(64);
        for (void* p : blocks) resource->deallocate(p, 64);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

// One contestant's job from beginning to end, in the process that calls.
json one_run(threading how, const peer_kind& who, const std::vector<std::string_view>& files,
             const std::vector<query>& queries, bool wait) {
    bring_in_code(files.front(), queries);
    const std::unique_ptr<peer> alive = who.make();
    alive->stats();
    resident_kib();  // these two for their code, too
    const long before = resident_kib();
    forget_peak();
    const outcome result = run_job(files, queries, opaque(alive->resource()), how);
    const long peak = resident_peak_kib();
    const long after_drop = resident_kib();
    const std::string stats = alive->stats();
    if (wait) {
        trickle(alive->resource());
    } else {
        alive->tick();
        alive->tick();
    }
    const long after = resident_kib();
    return {{"total", result.total_ms()},
            {"build", result.build_ms},
            {"merge", result.merge_ms},
            {"query", result.query_ms},
            {"drop", result.drop_ms},
            {"words", result.words},
            {"positions", result.positions},
            {"checksum", result.checksum},
            {"before", before},
            {"peak", peak},
            {"after_drop", after_drop},
            {"after", after},
            {"stats", stats}};
}

long median_of(const std::vector<json>& runs, const char* field) {
    std::vector<long> values;
    for (const json& each : runs) values.push_back(each.at(field));
    return median(values);
}

index_result summed_up(const std::vector<json>& runs) {
    index_result result;
    for (const json& each : runs) {
        result.samples_ms.push_back(each.at("total"));
        for (const char* phase : {"build", "merge", "query", "drop"}) result.phases_ms[phase].push_back(each.at(phase));
    }
    result.memory.before = median_of(runs, "before");
    result.memory.peak = median_of(runs, "peak");
    result.memory.after_drop = median_of(runs, "after_drop");
    result.memory.after_decay = median_of(runs, "after");
    return result;
}

// All runs of one input must have made the same index and found the same.
class agreement {
public:
    void hold(const json& run, std::string_view who) {
        if (!first_) first_ = run;
        for (const char* field : {"words", "positions", "checksum"})
            if (run.at(field) != first_->at(field))
                throw std::runtime_error(
                    fmt::format("{} made another index than the first contestant: {} is {}, not {}", who, field,
                                run.at(field).dump(), first_->at(field).dump()));
    }
    std::uint64_t agreed(const char* field) const { return first_ ? first_->at(field).get<std::uint64_t>() : 0; }

private:
    std::optional<json> first_;
};

}  // namespace

index_report measure(const index_bench& bench, const std::vector<std::string_view>& files,
                     const std::vector<query>& queries, unsigned rounds,
                     const std::function<void(const std::string& now)>& on_step) {
    if (files.empty()) throw std::runtime_error("no text files to index");
    const std::size_t count = bench.who.size();
    index_report report;
    agreement all;
    const auto run = [&](const peer_kind& who, bool wait) {
        json result = in_child([&] { return one_run(bench.how, who, files, queries, wait); });
        all.hold(result, who.who);
        return result;
    };

    std::vector<std::vector<json>> runs(count);
    in_turn(rounds, count, [&](unsigned round, std::size_t i) {
        on_step(fmt::format("round {} of {}, {}", round + 1, rounds, bench.who[i].who));
        runs[i].push_back(run(bench.who[i], false));
    });
    for (std::size_t i = 0; i < count; ++i) {
        report.results.push_back(summed_up(runs[i]));
        if (bench.who[i].who == reference) report.stats = runs[i].back().at("stats");
        if (!bench.waits) continue;
        on_step(fmt::format("memory after a while, {}", bench.who[i].who));
        report.results[i].memory.after_wait = run(bench.who[i], true).at("after");
    }
    report.words = all.agreed("words");
    report.positions = all.agreed("positions");
    return report;
}

}  // namespace bench

// tidepool-index [WHO THREADS MIB WAITS]: one contestant's index from beginning to end, with what it does to the
// resident memory two ticks later or, if it waits, a while later; as one line of JSON. Without arguments it says who
// there is.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/stats.hpp>

#include "common/escape.hpp"
#include "common/resident.hpp"
#include "index/corpus.hpp"
#include "index/job.hpp"
#include "index/scratch.hpp"

namespace bench {

namespace {

using nlohmann::json;

// One contestant, alive to the end of the process.
struct peer {
    std::pmr::memory_resource* resource;
    std::function<void()> tick = [] {};  // Tidepool's; nothing for those that have none
    std::function<std::string()> stats = [] { return std::string(); };
};

constexpr const char* names[] = {"tidepool::pool_resource", "synchronized_pool_resource",
                                 "unsynchronized_pool_resource", "new_delete_resource"};

peer make(const std::string& who) {
    if (who == names[0]) {
        auto* const pool = new tidepool::pool_resource;
        return {pool, [pool] { pool->tick(); }, [pool] { return to_string(pool->stats()); }};
    }
    if (who == names[1]) return {new std::pmr::synchronized_pool_resource};
    if (who == names[2]) return {new std::pmr::unsynchronized_pool_resource};
    if (who == names[3]) return {std::pmr::new_delete_resource()};
    throw std::invalid_argument("nobody is called " + who);
}

// The job over a little text: its code is then resident before the count, and the heap is as it was.
void bring_in_code(std::string_view text, const std::vector<query>& queries) {
    scratch memory;
    run_job({text.substr(0, 64U << 10)}, queries, memory.resource(), threading::one);
}

// What a program does that has little to do: a burst of a thousand blocks, a hundred times a second, for two and a half
// of Tidepool's default decay intervals.
void trickle(std::pmr::memory_resource* resource) {
    std::vector<void*> blocks(1000);
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
    while (std::chrono::steady_clock::now() < until) {
        for (void*& p : blocks) p = resource->allocate(64);
        for (void* p : blocks) resource->deallocate(p, 64);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

json run(const std::string& name, threading how, std::size_t bytes, bool waits) {
    const corpus input({"/usr/include", "/usr/share"}, bytes);
    if (input.files().empty()) throw std::runtime_error("no text files to index");
    const std::vector<query> queries = make_queries(input.text(), 4000);
    bring_in_code(input.files().front(), queries);
    const peer who = make(name);
    who.stats();
    resident_kib();  // these two for their code, too
    json found{{"rss_before_kib", resident_kib()}};
    forget_peak();
    const outcome result = run_job(input.files(), queries, opaque(who.resource), how);
    found["rss_peak_kib"] = resident_peak_kib();
    found["rss_after_drop_kib"] = resident_kib();
    found["stats"] = who.stats();
    if (waits) trickle(who.resource);
    for (int i = 0; !waits && i < 2; ++i) who.tick();
    found[waits ? "rss_after_wait_kib" : "rss_after_decay_kib"] = resident_kib();
    found.update({{"total_ms", result.total_ms()},
                  {"build_ms", result.build_ms},
                  {"merge_ms", result.merge_ms},
                  {"query_ms", result.query_ms},
                  {"drop_ms", result.drop_ms}});
    found["made"] = {{"bytes", input.text().size()},  {"files", input.files().size()},
                     {"queries", queries.size()},     {"words", result.words},
                     {"positions", result.positions}, {"checksum", fmt::format("{:016x}", result.checksum)}};
    return found;
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv) {
    if (argc == 1) {
        for (const char* each : bench::names) std::puts(each);
        return EXIT_SUCCESS;
    }
    try {
        if (argc != 5) throw std::invalid_argument("usage: tidepool-index [WHO THREADS MIB WAITS]");
        const auto how = std::stoul(argv[2]) == 1 ? bench::threading::one : bench::threading::three;
        std::puts(bench::run(argv[1], how, std::stoul(argv[3]) << 20, std::stoul(argv[4]) > 0).dump().c_str());
    } catch (const std::exception& e) {
        std::fprintf(stderr, "tidepool-index: %s\n", e.what());
        return EXIT_FAILURE;
    }
    std::fflush(stdout);
    std::_Exit(EXIT_SUCCESS);
}

// tidepool-tide VARIANT WHO [MIB]: one contestant's flood and ebb in a process of its own, as one line of JSON.
//
// bench/run starts it, and bench/README.md says what it does.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <nlohmann/json.hpp>
#include <tidepool/tick.hpp>

#include "common/escape.hpp"
#include "common/resident.hpp"
#include "tide/contestants.hpp"
#include "tide/flood.hpp"
#include "tide/sampler.hpp"
#include "tide/tide.hpp"

namespace {

using namespace bench::tide;
using nlohmann::json;

constexpr auto pause = std::chrono::milliseconds(1);

double seconds(clock::duration d) { return std::chrono::duration<double>(d).count(); }

// Seconds from `start` to the moment from which on the pool held nothing any more. Null where that was never.
json empty_after(const std::vector<sample>& all, clock::time_point start) {
    json since;
    for (const sample& each : all) {
        if (each.when < start || each.held_mib > 0)
            since = nullptr;
        else if (since.is_null())
            since = seconds(each.when - start);
    }
    return since;
}

json report(const std::vector<sample>& all, clock::time_point start) {
    json samples = json::array();
    for (const sample& each : all) samples.push_back({seconds(each.when - start), each.resident_mib, each.held_mib});
    return samples;
}

// Threads that are asleep but for the pieces of work that all of them do at the same time; who tells them takes no
// part. What work needs of the stack is there from the beginning, and no part of what grows.
class gang {
public:
    explicit gang(unsigned threads) {
        for (unsigned number = 0; number < threads; ++number) threads_.emplace_back(&gang::member, this, number);
    }
    gang(const gang&) = delete;
    gang& operator=(const gang&) = delete;
    ~gang() {
        start(nullptr);
        for (std::thread& each : threads_) each.join();
    }

    // Calls work(0) to work(threads - 1) and waits until all are done.
    void run(const std::function<void(unsigned)>& work) {
        busy_ = static_cast<unsigned>(threads_.size());
        start(&work);
        for (unsigned busy; (busy = busy_) > 0;) busy_.wait(busy);
    }

private:
    void start(const std::function<void(unsigned)>* work) {
        work_ = work;
        ++generation_;
        generation_.notify_all();
    }

    void member(unsigned number) {
        touch_stack();
        for (unsigned seen = 0;; ++seen) {
            generation_.wait(seen);
            if (!work_) return;
            (*work_)(number);
            if (--busy_ == 0) busy_.notify_one();
        }
    }

    // What work needs of the stack is there from the beginning, and no part of what grows.
    [[gnu::noinline]] static void touch_stack() {
        volatile unsigned char below[16 << 10];
        for (std::size_t i = 0; i < sizeof below; i += 4096) below[i] = 0;
    }

    const std::function<void(unsigned)>* work_ = nullptr;  // written before `generation_` goes up; null: the end
    std::atomic<unsigned> generation_ = 0;                 // up by one for each piece of work
    std::atomic<unsigned> busy_ = 0;                       // members that are not done with it
    std::vector<std::thread> threads_;
};

class run {
public:
    run(std::string_view variant, std::string_view who, std::size_t bytes)
        : variant_(variant),
          subject_(make(who)),
          resource_(bench::opaque(subject_.resource)),
          blocks_(bytes),
          elsewhere_(bench::opaque(subject_.elsewhere)) {}

    json all() {
        if (variant_ == background) ticker_.emplace();
        if (variant_ == sleeping) asleep_ = std::make_unique<gang>(bystanders);
        sampler watch(subject_);
        elsewhere_.burst();
        bench::resident_kib();  // these for their code, too
        bench::proc_kib("/proc/self/smaps_rollup", "LazyFree");
        std::this_thread::sleep_for(5 * sample_period);

        json found{{"rss_before_kib", bench::resident_kib()}};
        bench::forget_peak();
        workers_.run([&](unsigned n) {
            if (n < takers) blocks_.take(resource_, n);
        });
        bystand();
        workers_.run([&](unsigned n) {
            if (n >= takers) blocks_.free(resource_, n - takers);
        });
        const clock::time_point start = clock::now();
        found["rss_peak_kib"] = bench::resident_peak_kib();
        found["rss_after_drop_kib"] = bench::resident_kib();

        wait_until(start + quiet);
        found["rss_after_decay_kib"] = bench::resident_kib();
        subject_.purge();
        found["rss_purged_kib"] = bench::resident_kib();
        found["rss_lazy_kib"] = bench::proc_kib("/proc/self/smaps_rollup", "LazyFree");
        found["upstream_bytes"] = subject_.stats().upstream_bytes;
        wait_until(start + quiet + after_purge);

        found["empty_after_s"] = empty_after(watch.taken(), start);
        found["samples"] = report(watch.taken(), start);
        return found;
    }

private:
    // The bystanders have their magazines full all at the same time, and late, so that nothing of it decays before the
    // rest is freed.
    void bystand() {
        const auto fill = [&](unsigned) { fill_magazines(resource_); };
        if (variant_ == sleeping) asleep_->run(fill);
        if (variant_ == exited) gang(bystanders).run(fill);
    }

    void wait_until(clock::time_point then) {
        if (variant_ == background) {
            std::this_thread::sleep_until(then);
            return;
        }
        while (clock::now() < then) {
            elsewhere_.burst();
            std::this_thread::sleep_for(pause);
        }
    }

    const std::string_view variant_;
    const contestant subject_;
    std::pmr::memory_resource* const resource_;
    flood blocks_;
    trickle elsewhere_;
    gang workers_{takers + freers};  // takers first; asleep when their part is done
    std::unique_ptr<gang> asleep_;
    std::optional<tidepool::background_ticker> ticker_;
};

int usage() {
    std::fputs("usage: tidepool-tide VARIANT WHO [MIB]\nVARIANT:", stderr);
    for (const std::string_view each : variants) std::fprintf(stderr, " %s", each.data());
    std::fputs("\nWHO:", stderr);
    for (const std::string_view each : contestants) std::fprintf(stderr, " %s", each.data());
    std::fputs("\n", stderr);
    return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3 || argc > 4 || std::find(variants.begin(), variants.end(), argv[1]) == variants.end()) return usage();
    const std::size_t bytes = argc == 4 ? std::strtoull(argv[3], nullptr, 10) << 20 : flood_bytes;
    try {
        std::printf("%s\n", run(argv[1], argv[2], bytes).all().dump().c_str());
    } catch (const std::exception& e) {
        std::fprintf(stderr, "tidepool-tide: %s\n", e.what());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

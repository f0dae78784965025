// What the soak programs share: threads that come and go, take blocks, write to them, look at what they wrote, hand
// them to others and fork, while limits and failures come and go as the weather does; and whether memory drifts.
//
// The harness itself asks for no memory once it runs, since there may be none.
//
//   PROGRAM SECONDS THREADS FILE.csv    ends with 0 where nothing was found
//
// Drift is judged by medians, since the weather makes single samples useless: that of the run's last quarter may not
// exceed that of its second one, by when everything is warm, by more than a quarter and 16 MiB. Runs of less than a
// minute have a few samples a quarter, on machines that do other things, too: there it may be twice as much and 64 MiB.
#pragma once

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace soak {

// What is soaked. All members but the weather's are called by any thread; take() returns null where memory is out.
struct target {
    virtual void* take(unsigned kind, std::size_t bytes) noexcept = 0;
    virtual void give(unsigned kind, void* p, std::size_t bytes) noexcept = 0;
    // A kind may have blocks of one size only.
    virtual std::size_t size_of(unsigned, std::size_t wanted) noexcept { return wanted; }
    virtual void live_a_little() noexcept {}      // whatever else a thread does once in its life
    virtual void tick() noexcept = 0;             // by the weather
    virtual void trim() noexcept = 0;             // by the weather, and in children
    virtual void fail(bool always) noexcept = 0;  // by the weather: whether all that lies below fails
    virtual std::uint64_t held() noexcept = 0;    // bytes that what is soaked has of the system
    virtual void settle() noexcept = 0;           // at the end, when nothing is held: ends the program if it is
    static constexpr unsigned kinds = 5;

protected:
    ~target() = default;
};

[[noreturn]] inline void give_up(const char* what, std::uint64_t detail = 0) noexcept {
    std::fprintf(stderr, "soak: %s (%llu)\n", what, static_cast<unsigned long long>(detail));
    std::abort();
}

inline double now() noexcept {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
inline void nap(long milliseconds) noexcept {
    const timespec t{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
    nanosleep(&t, nullptr);
}

// Pages of the process, in bytes: all, and those in memory.
struct pages {
    std::uint64_t all = 0, resident = 0;
};
inline pages pages_now() noexcept {
    unsigned long all = 0, resident = 0;
    std::FILE* statm = std::fopen("/proc/self/statm", "r");
    if (!statm) return {};
    if (std::fscanf(statm, "%lu %lu", &all, &resident) != 2) all = resident = 0;
    std::fclose(statm);
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return {all * page, resident * page};
}

constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
    x = (x ^ x >> 27) * 0x94D049BB133111EBU;
    return x ^ x >> 31;
}
struct dice {
    std::uint64_t state;
    std::uint64_t operator()() noexcept { return mix(state += 0x9E3779B97F4A7C15U); }
};

// What is written into a block follows from its address and from the place that holds it, so that two holders of one
// block write different things. All words of blocks up to a page; of larger ones those at both ends and one in each
// 4096 bytes. Sizes are multiples of 8.
template <class Each>
void for_words(std::size_t bytes, const Each& each) noexcept {
    const std::size_t words = bytes / 8;
    if (words <= 512) {
        for (std::size_t i = 0; i < words; ++i) each(i);
        return;
    }
    for (std::size_t i = 0; i < 64; ++i) each(i), each(words - 1 - i);
    for (std::size_t i = 512; i + 64 < words; i += 512) each(i);
}
inline void write_contents(void* p, std::size_t bytes, std::uint64_t place) noexcept {
    const std::uint64_t first = mix(reinterpret_cast<std::uintptr_t>(p) ^ place << 48);
    for_words(bytes, [&](std::size_t i) { static_cast<std::uint64_t*>(p)[i] = first + i; });
}
inline void check_contents(const void* p, std::size_t bytes, std::uint64_t place) noexcept {
    const std::uint64_t first = mix(reinterpret_cast<std::uintptr_t>(p) ^ place << 48);
    std::uint64_t wrong = 0;
    for_words(bytes, [&](std::size_t i) { wrong |= static_cast<const std::uint64_t*>(p)[i] ^ (first + i); });
    if (wrong != 0) give_up("a block has changed under its holder", bytes);
}

class run {
public:
    static constexpr unsigned threads_max = 64;

    run(target& what, double seconds, unsigned threads) noexcept
        : what_(what), threads_(std::min(threads, threads_max)), begin_(now()), end_(begin_ + seconds) {}

    // The whole of it. True where memory did not drift.
    bool go(const char* csv_file) noexcept {
        pthread_t weather;
        if (pthread_create(
                &weather, nullptr, [](void* its) -> void* { return static_cast<run*>(its)->weather(); }, this))
            give_up("no thread for the weather");
        keep_threads();
        pthread_join(weather, nullptr);
        for (std::size_t place = 0; place < shared_.size(); ++place)
            drop({shared_[place].exchange(nullptr), shared_bytes(place)}, shared_kind(place), name_of_shared(place));
        what_.settle();
        sample();
        write_csv(csv_file);
        return report();
    }

private:
    struct block {
        void* p = nullptr;
        std::size_t bytes = 0;
    };
    static constexpr std::size_t own_places = 256, samples_max = 4096;
    enum class state { none, running, done };

    // A thread that is replaced when it has ended. Main's, but for what is atomic.
    struct life {
        run* in = nullptr;
        unsigned number = 0;
        pthread_t thread{};
        std::atomic<state> is{state::none};
        std::atomic<std::uint64_t> beats{0};  // the thread's: that it goes on
        std::uint64_t beats_seen = 0;
        double seen_at = 0;
        std::uint64_t seed = 0;
    };

    // ---- blocks
    // ------------------------------------------------------------------------------------------------------

    // Small ones mostly, one in 1024 large, and one in 64 Ki very large.
    static std::size_t some_size(std::uint64_t random) noexcept {
        const std::uint64_t more = random >> 32;
        if (random % 65'536 == 0) return (4 + more % 5) << 20;
        if (random % 1024 == 0) return 40'000 + more % 400'000 / 8 * 8;
        if (random % 16 == 0) return 16 + more % 32'000 / 8 * 8;
        return 16 + more % 1024 / 8 * 8;
    }
    block take(unsigned kind, std::size_t wanted, std::uint64_t place) noexcept {
        block b{nullptr, what_.size_of(kind, wanted)};
        b.p = what_.take(kind, b.bytes);
        if (b.p)
            write_contents(b.p, b.bytes, place);
        else
            failures_.fetch_add(1, std::memory_order_relaxed);
        return b;
    }
    void drop(block b, unsigned kind, std::uint64_t place) noexcept {
        if (!b.p) return;
        check_contents(b.p, b.bytes, place);
        what_.give(kind, b.p, b.bytes);
    }
    static unsigned kind_of(std::size_t place) noexcept { return static_cast<unsigned>(place % target::kinds); }
    std::size_t shared_bytes(std::size_t place) noexcept {
        return what_.size_of(shared_kind(place), 16 + mix(place) % 200 * 8);
    }
    static unsigned shared_kind(std::size_t place) noexcept { return kind_of(place); }
    static std::uint64_t name_of_shared(std::size_t place) noexcept { return 20'000 + place; }
    static std::uint64_t name_of(unsigned thread, std::size_t place) noexcept {
        return 1 + thread * own_places + place;
    }

    // ---- threads
    // -----------------------------------------------------------------------------------------------------

    void live(life& mine) noexcept {
        dice random{mine.seed};
        std::array<block, own_places> own;
        const std::uint64_t operations = 1000 + random() % 40'000;
        std::uint64_t i = 0;
        for (; i < operations && !over_.load(std::memory_order_relaxed); ++i) {
            if (i % 64 == 0) mine.beats.fetch_add(1, std::memory_order_relaxed);
            const std::uint64_t dice = random();
            if (dice % 8 != 0) {
                const std::size_t place = dice / 8 % own_places;
                block& its = own[place];
                if (its.p)
                    drop(std::exchange(its, {}), kind_of(place), name_of(mine.number, place));
                else
                    its = take(kind_of(place), some_size(random()), name_of(mine.number, place));
            } else {
                const std::size_t place = dice / 8 % shared_.size();
                block b = take(shared_kind(place), shared_bytes(place), name_of_shared(place));
                // Acquire and release: the block passes to another thread with what was written to it.
                b.p = shared_[place].exchange(b.p, std::memory_order_acq_rel);
                drop(b, shared_kind(place), name_of_shared(place));
            }
        }
        if (random() % (hard_times_.load(std::memory_order_relaxed) ? 2 : 16) == 0) i += flood(mine, random);
        what_.live_a_little();
        if (random() % 8 == 0) fork_a_child(mine, own, random());
        for (std::size_t place = 0; place < own.size(); ++place)
            drop(own[place], kind_of(place), name_of(mine.number, place));
        operations_.fetch_add(i, std::memory_order_relaxed);
    }

    // Many blocks of one size at once, which are freed in the order in which they were taken.
    std::uint64_t flood(life& mine, dice& random) noexcept {
        const auto kind = static_cast<unsigned>(random() % target::kinds);
        const std::size_t bytes = what_.size_of(kind, 16 + random() % 64 * 8), count = random() % 20'000;
        void* first = nullptr;
        void** last = &first;
        std::uint64_t done = 0;
        for (std::size_t i = 0; i < count; ++i, ++done) {
            if (i % 64 == 0) mine.beats.fetch_add(1, std::memory_order_relaxed);
            auto* p = static_cast<void**>(what_.take(kind, bytes));
            if (!p) break;
            p[0] = nullptr;
            p[1] = p;
            *last = p;
            last = p;
        }
        while (first) {
            auto* p = static_cast<void**>(first);
            if (p[1] != p) give_up("a block of a flood has changed under its holder", bytes);
            first = p[0];
            what_.give(kind, p, bytes);
            ++done;
        }
        return done;
    }

    // A child goes on with what its parent's thread had. It has two minutes for a few milliseconds of work.
    void fork_a_child(life& mine, std::array<block, own_places>& own, std::uint64_t seed) noexcept {
        const pid_t child = fork();
        if (child < 0) return;  // the address space is out, or processes are
        if (child == 0) {
            alarm(120);
            dice random{seed};
            for (std::size_t place = 0; place < own.size(); place += 2)
                drop(std::exchange(own[place], {}), kind_of(place), name_of(mine.number, place));
            for (std::size_t place = 0; place < own.size(); place += 2)
                own[place] = take(kind_of(place), some_size(random()), name_of(mine.number, place));
            if (seed % 4 == 0) what_.trim();
            for (std::size_t place = 0; place < own.size(); ++place)
                drop(own[place], kind_of(place), name_of(mine.number, place));
            _exit(0);
        }
        int status = 0;
        if (waitpid(child, &status, 0) != child) give_up("a child cannot be waited for");
        if (WIFSIGNALED(status)) give_up("a signal has ended a child", static_cast<std::uint64_t>(WTERMSIG(status)));
        if (WEXITSTATUS(status) != 0)
            give_up("a child has ended badly", static_cast<std::uint64_t>(WEXITSTATUS(status)));
        forks_.fetch_add(1, std::memory_order_relaxed);
    }

    void start(life& each) noexcept {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 << 10);
        each.seed = mix(threads_begun_ + 1) ^ seed_;
        each.is = state::running;
        each.seen_at = now();
        const auto body = [](void* p) -> void* {
            auto& mine = *static_cast<life*>(p);
            mine.in->live(mine);
            mine.is = state::done;
            return nullptr;
        };
        if (pthread_create(&each.thread, &attributes, body, &each) == 0)
            ++threads_begun_;
        else
            each.is = state::none;  // memory is out: another time
        pthread_attr_destroy(&attributes);
    }

    // Replaces those that have ended, takes samples, and ends the program where a thread stands still for five minutes.
    void keep_threads() noexcept {
        const double apart = std::max(0.05, (end_ - begin_) / 400);
        double next_sample = begin_ + apart;
        for (unsigned i = 0; i < threads_; ++i) lives_[i].in = this, lives_[i].number = i;
        for (bool some = true; some;) {
            const double t = now();
            if (t >= end_) over_ = true;
            some = false;
            for (unsigned i = 0; i < threads_; ++i) {
                life& each = lives_[i];
                if (each.is == state::done) {
                    pthread_join(each.thread, nullptr);
                    each.is = state::none;
                }
                if (each.is == state::none && !over_) start(each);
                some = some || each.is != state::none;
                const std::uint64_t beats = each.beats.load(std::memory_order_relaxed);
                if (std::exchange(each.beats_seen, beats) != beats) each.seen_at = t;
                if (each.is == state::running && t - each.seen_at > 300) give_up("a thread stands still", i);
            }
            if (t >= next_sample && !over_) {
                sample();
                next_sample = t + apart;
            }
            some = some || !over_;
            nap(1);
        }
    }

    // ---- weather
    // -----------------------------------------------------------------------------------------------------

    // Two fifths of a second in peace, then failures, then little address space, then trims; ticks all the time.
    void* weather() noexcept {
        rlimit usual;
        getrlimit(RLIMIT_AS, &usual);
        for (unsigned step = 0; !over_; ++step) {
            const unsigned hour = step % 50;
            hard_times_ = hour >= 20 && hour < 40;
            if (hour >= 20 && hour <= 30) what_.fail(hour % 2 == 1);
            if (hour == 30 || hour == 40) {
                rlimit low = usual;
                if (hour == 30) low.rlim_cur = pages_now().all + (step / 50 % 8 << 20);
                setrlimit(RLIMIT_AS, &low);
                ++limits_;
            }
            if (hour > 40 && hour % 3 == 0) what_.trim(), ++trims_;
            if (step % 2 == 0) what_.tick(), ++ticks_;
            nap(20);
        }
        what_.fail(false);
        setrlimit(RLIMIT_AS, &usual);
        return nullptr;
    }

    // ---- drift
    // -------------------------------------------------------------------------------------------------------

    struct sampled {
        double at;
        std::uint64_t resident, held, operations, threads, forks, failures;
    };

    void sample() noexcept {
        if (sample_count_ == samples_max) return;
        const pages seen = pages_now();
        if (seen.resident == 0) return;  // no memory for that now
        samples_[sample_count_++] = {now() - begin_, seen.resident, what_.held(),    operations_.load(),
                                     threads_begun_, forks_.load(), failures_.load()};
    }

    std::uint64_t median(unsigned quarter, std::uint64_t sampled::*of) noexcept {
        std::array<std::uint64_t, samples_max> values;
        std::size_t count = 0;
        const double length = (end_ - begin_) / 4;
        for (std::size_t i = 0; i < sample_count_; ++i)
            if (samples_[i].at >= length * quarter && samples_[i].at < length * (quarter + 1))
                values[count++] = samples_[i].*of;
        if (count == 0) return 0;
        std::sort(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
        return values[count / 2];
    }

    bool drifts(const char* what, std::uint64_t sampled::*of) noexcept {
        const bool is_long = end_ - begin_ >= 60;
        const std::uint64_t second = median(1, of), last = median(3, of), mib = 1 << 20;
        const std::uint64_t allowed = is_long ? second + second / 4 + 16 * mib : 2 * second + 64 * mib;
        std::printf("  %-9s", what);
        for (unsigned quarter = 0; quarter < 4; ++quarter)
            std::printf(" %8.1f", static_cast<double>(median(quarter, of)) / static_cast<double>(mib));
        std::printf("  MiB, medians of the quarters; at the end %.1f%s\n",
                    static_cast<double>(samples_[sample_count_ - 1].*of) / static_cast<double>(mib),
                    last > allowed ? ": IT DRIFTS" : "");
        return last > allowed;
    }

    bool report() noexcept {
        const auto count = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
        std::printf(
            "  %llu operations, %llu forks, %llu threads; %llu requests failed, %llu ticks, %llu trims, %llu limits\n",
            count(operations_), count(forks_), count(threads_begun_), count(failures_), count(ticks_), count(trims_),
            count(limits_));
        const bool resident = drifts("resident", &sampled::resident), held = drifts("held", &sampled::held);
        return !resident && !held;
    }

    void write_csv(const char* file) noexcept {
        std::FILE* out = std::fopen(file, "w");
        if (!out) give_up("the samples cannot be written");
        std::fprintf(out, "seconds,resident,held,operations,threads,forks,failures\n");
        for (std::size_t i = 0; i < sample_count_; ++i) {
            const sampled& s = samples_[i];
            const std::array<std::uint64_t, 6> values{s.resident, s.held, s.operations, s.threads, s.forks, s.failures};
            std::fprintf(out, "%.3f", s.at);
            for (const std::uint64_t each : values) std::fprintf(out, ",%llu", static_cast<unsigned long long>(each));
            std::fputc('\n', out);
        }
        if (std::fclose(out) != 0) give_up("the samples cannot be written");
    }

    target& what_;
    const unsigned threads_;
    const double begin_, end_;
    const std::uint64_t seed_ =
        mix(static_cast<std::uint64_t>(getpid()) ^ static_cast<std::uint64_t>(time(nullptr)) << 32);
    std::atomic<bool> over_{false};
    std::atomic<bool> hard_times_{false};  // threads need most when there is least
    std::array<life, threads_max> lives_;
    std::array<std::atomic<void*>, 512> shared_{};
    std::uint64_t threads_begun_ = 0;  // main's
    std::atomic<std::uint64_t> operations_{0}, forks_{0}, failures_{0};
    std::uint64_t ticks_ = 0, trims_ = 0, limits_ = 0;  // the weather's
    std::size_t sample_count_ = 0;                      // main's
    std::array<sampled, samples_max> samples_;
};

// What main() of each program does.
inline int soak(target& what, int count, char** arguments) noexcept {
    const double seconds = count == 4 ? std::atof(arguments[1]) : 0;
    const int threads = count == 4 ? std::atoi(arguments[2]) : 0;
    if (seconds <= 0 || threads <= 0) {
        std::fprintf(stderr, "usage: %s SECONDS THREADS FILE.csv\n", arguments[0]);
        return 2;
    }
    // Of libc's malloc, which is below some pools and beside the shim: its arenas grow ragged in another way each time.
    mallopt(M_ARENA_MAX, 2);
    static run all(what, seconds, static_cast<unsigned>(threads));
    return all.go(arguments[3]) ? 0 : 1;
}

}  // namespace soak

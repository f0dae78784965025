// The works of the comparison, over any source of blocks: the same loops and the same way of counting for all. The
// driver starts a process for each turn; what a work leaves behind goes with it.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/loops.hpp"
#include "common/resident.hpp"

namespace bench::compare {

struct task {
    std::string_view work;
    unsigned threads;
    size_range sizes;
    std::size_t operations;  // of each thread
};

// What was found, by the names that the driver knows.
using findings = std::vector<std::pair<const char*, double>>;

// The process so far.
struct reading {
    double wall_ns, cpu_ns, faults;
};

inline reading read_now() noexcept {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto ns = [](const timeval& t) { return 1e9 * static_cast<double>(t.tv_sec) + 1e3 * double(t.tv_usec); };
    const std::chrono::duration<double, std::nano> wall = std::chrono::steady_clock::now().time_since_epoch();
    return {wall.count(), ns(used.ru_utime) + ns(used.ru_stime), static_cast<double>(used.ru_minflt)};
}

// One thread is the main thread itself, so that a malloc that does without locks until there is another is at its best.
void in_threads(unsigned threads, auto body) {
    if (threads == 1) return body(0U);
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) running.emplace_back(body, i);
    for (std::thread& each : running) each.join();
}

// make(thread) returns the thread's work(n), n being a multiple of `step`. The clock runs from when all have warmed up
// to the last one's end; faults are counted from the start of the first.
findings timed(const task& what, std::size_t step, bool warm, auto make) {
    const std::size_t steps = std::max<std::size_t>(1, what.operations / step), n = steps * step;
    const std::size_t before = warm ? (steps / 10 + 1) * step : 0;
    reading seen[2];
    int phase = 0;
    const reading first = read_now();
    std::barrier meet(static_cast<std::ptrdiff_t>(what.threads), [&]() noexcept { seen[phase++] = read_now(); });
    in_threads(what.threads, [&](unsigned thread) {
        auto work = make(thread);
        if (before > 0) work(before);
        meet.arrive_and_wait();
        work(n);
        meet.arrive_and_wait();
    });
    const auto [begin, end] = seen;
    const double each = static_cast<double>(n), all = each * what.threads;
    return {{"ns", (end.wall_ns - begin.wall_ns) / each},
            {"cpu_ns", (end.cpu_ns - begin.cpu_ns) / all},
            {"faults", end.faults - first.faults},
            {"operations", each},
            {"rss_peak_kib", static_cast<double>(resident_peak_kib())}};
}

// Takes all blocks, and frees them in the order of `freed`, which lists each once.
template <class Source>
[[gnu::noinline]] void fill_and_empty(Source from, std::vector<void*>& blocks, const std::vector<std::uint32_t>& freed,
                                      std::size_t bytes, std::size_t n) {
    for (std::size_t done = 0; done < n; done += blocks.size()) {
        for (void*& p : blocks) write_byte(p = from.take(bytes));
        for (const std::uint32_t i : freed) from.give(blocks[i], bytes);
    }
}

inline std::vector<std::uint32_t> order_of(std::string_view work, std::size_t count) {
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    if (work == "far-reversed" || work == "grow") std::reverse(order.begin(), order.end());
    dice random(1);
    if (work == "far-shuffled")
        for (std::size_t i = count; i > 1; --i)
            std::swap(order[i - 1], order[scaled(random.roll(), static_cast<std::uint32_t>(i))]);
    return order;
}

struct node {
    node *left, *right;
};

// A list, last in first out, filled and emptied.
template <class Source>
[[gnu::noinline]] void lists(Source from, std::size_t length, std::size_t bytes, std::size_t n) {
    for (std::size_t done = 0; done < n; done += length) {
        node* head = nullptr;
        for (std::size_t i = 0; i < length; ++i) head = new (from.take(bytes)) node{head, nullptr};
        while (head) from.give(std::exchange(head, head->left), bytes);
    }
}

template <class Source>
node* grown(Source& from, unsigned depth, std::size_t bytes) {
    node* const made = static_cast<node*>(from.take(bytes));
    for (node** below : {&made->left, &made->right}) *below = depth > 0 ? grown(from, depth - 1, bytes) : nullptr;
    return made;
}

template <class Source>
void felled(Source& from, node* top, std::size_t bytes) {
    if (!top) return;
    for (node* below : {top->left, top->right}) felled(from, below, bytes);
    from.give(top, bytes);
}

// Binary trees of four depths in turn: so many nodes in all four.
constexpr unsigned depths[] = {4, 8, 12, 16};
constexpr std::size_t four_trees = 31 + 511 + 8191 + 131'071;

// Sizes in equal shares of each power of two, every page of a block written.
template <class Source>
[[gnu::noinline]] void mixed(Source from, std::vector<sized_block>& live, dice& random, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t bits = random.roll();
        const std::uint32_t least = 16U << scaled(bits, 15);
        sized_block& at = live[random.roll() % live.size()];
        if (at.p) from.give(at.p, at.bytes);
        at = {nullptr, least + scaled(bits >> 32, least)};
        at.p = from.take(at.bytes);
        for (std::size_t offset = 0; offset < at.bytes; offset += 4096) write_byte(static_cast<char*>(at.p) + offset);
    }
}

template <class Source>
std::vector<sized_block> filled(Source from, size_range sizes, std::size_t count) {
    std::vector<sized_block> live(count);
    dice random(1);
    for (sized_block& each : live) each = taken<sized_block>(from, sizes, random.roll());
    return live;
}

// Each thread replaces blocks of a table, and goes on with that of its neighbour: all free what others took.
template <class Source>
findings larson(Source from, const task& what) {
    constexpr std::size_t stay = 10'000;
    std::vector<std::vector<sized_block>> tables;
    for (unsigned i = 0; i < what.threads; ++i) tables.push_back(filled(from, what.sizes, 1000));
    std::barrier moved(static_cast<std::ptrdiff_t>(what.threads));
    return timed(what, stay, true, [&](unsigned thread) {
        return [&, random = dice(thread + 1), at = thread](std::size_t n) mutable {
            for (std::size_t done = 0; done < n; done += stay, ++at) {
                replacements(from, tables[at % what.threads], what.sizes, random, stay);
                moved.arrive_and_wait();
            }
        };
    });
}

// KiB that are resident beyond those at the start, 2.5 decay intervals after much was freed, while one thread goes on
// with pairs of 64 bytes: at full speed, 100 a second, or 50 each 10 ms.
template <class Source>
findings ebb(Source from, const task& what) {
    const std::size_t all = (what.threads == 1 ? 300U : 512U) << 20, takers = what.threads == 1 ? 1 : what.threads / 2;
    const std::size_t count = all / takers / what.sizes.most;
    std::vector<std::vector<void*>> blocks(takers, std::vector<void*>(count));
    for (auto& each : blocks) std::fill(each.begin(), each.end(), &blocks);  // resident before the count
    pairs(from, 64, 1000);
    resident_kib();  // for its code
    const long before = resident_kib();
    in_threads(static_cast<unsigned>(takers), [&](unsigned i) {
        for (void*& p : blocks[i]) write_byte(p = from.take(what.sizes.most));
    });
    in_threads(static_cast<unsigned>(takers), [&](unsigned i) {
        for (void* p : blocks[i]) from.give(p, what.sizes.most);
    });
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
    while (std::chrono::steady_clock::now() < until) {
        pairs(from, 64, what.work == "ebb-fast" ? 10'000 : what.work == "ebb-slow" ? 1 : 50);
        if (what.work != "ebb-fast") std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return {{"kib", static_cast<double>(resident_kib() - before)}};
}

// Of 16 GiB, none of it touched, every second block is freed.
template <class Source>
findings holes(Source from, const task& what) {
    std::vector<void*> blocks((std::size_t{16} << 30) / what.sizes.most);
    for (void*& p : blocks) p = from.take(what.sizes.most);
    for (std::size_t i = 0; i < blocks.size(); i += 2) from.give(blocks[i], what.sizes.most);
    std::ifstream in("/proc/self/maps");
    return {{"mappings", static_cast<double>(std::count(std::istreambuf_iterator<char>(in), {}, '\n'))}};
}

// Each thread by itself.
template <class Source>
findings alone(Source from, const task& what) {
    const std::string_view work = what.work;
    const std::size_t bytes = what.sizes.most;
    const auto at_most = [&](std::size_t blocks, std::size_t all) { return std::min(blocks, all / bytes); };
    if (work == "pair") {
        return timed(what, 1000, true, [&](unsigned) {
            write_byte(from.take(bytes));  // one more stays in use, as others would in a program
            return [&](std::size_t n) { pairs(from, bytes, n); };
        });
    }
    if (work == "batch" || work == "grow" || work.starts_with("far-")) {
        const std::size_t count = work == "batch"  ? at_most(1000, 4U << 20)
                                  : work == "grow" ? at_most(500'000, 32U << 20)
                                                   : 100'000;
        return timed(what, count, work != "grow", [&, count](unsigned) {
            return [&, blocks = std::vector<void*>(count), freed = order_of(work, count)](std::size_t n) mutable {
                fill_and_empty(from, blocks, freed, bytes, n);
            };
        });
    }
    if (work.starts_with("lists-")) {
        const std::size_t length = std::stoul(std::string(work.substr(6)));
        return timed(what, length, true,
                     [&](unsigned) { return [&, length](std::size_t n) { lists(from, length, bytes, n); }; });
    }
    if (work == "random") {
        return timed(what, 1000, true, [&](unsigned thread) {
            return [&, random = dice(thread + 1), live = filled(from, what.sizes, at_most(10'000, 32U << 20))](
                       std::size_t n) mutable { replacements(from, live, what.sizes, random, n); };
        });
    }
    if (work == "mixed") {
        return timed(what, 1000, false, [&](unsigned thread) {
            return [&, random = dice(thread + 1), live = std::vector<sized_block>(100)](std::size_t n) mutable {
                mixed(from, live, random, n);
            };
        });
    }
    return timed(what, four_trees, true, [&](unsigned) {  // tree
        return [&](std::size_t n) {
            for (std::size_t done = 0; done < n; done += four_trees)
                for (const unsigned depth : depths) felled(from, grown(from, depth, bytes), bytes);
        };
    });
}

template <class Source>
findings run(Source from, const task& what) {
    if (what.work == "larson") return larson(from, what);
    if (what.work.starts_with("ebb-")) return ebb(from, what);
    if (what.work == "holes") return holes(from, what);
    if (what.work != "handoff") return alone(from, what);
    std::vector<block_ring> rings(what.threads / 2);
    return timed(what, 1000, true, [&](unsigned thread) {
        return [&, odd = thread % 2 == 1, &ring = rings[thread / 2]](std::size_t n) {
            odd ? give_for_another(from, ring, what.sizes.most, n) : take_for_another(from, ring, what.sizes.most, n);
        };
    });
}

// The words that both programs are started with, and the line of JSON that they end with.
inline task task_of(char** words) {
    const auto number = [&](int at) { return static_cast<std::uint32_t>(std::strtoul(words[at], nullptr, 10)); };
    return {words[1], number(2), {number(3), number(4)}, number(5)};
}

inline int say(const findings& found) {
    for (std::size_t i = 0; i < found.size(); ++i)
        std::printf("%s\"%s\": %.3f", i == 0 ? "{" : ", ", found[i].first, found[i].second);
    return std::puts("}") < 0;
}

}  // namespace bench::compare

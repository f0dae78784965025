// The benches of malloc and free that are more than a loop, one file each.
#pragma once

#include <benchmark/benchmark.h>

#include "common/subject.hpp"

namespace bench {

void server(benchmark::State& state, unsigned lanes);
// 1000 threads, which are never woken.
void sleepers(benchmark::State& state);

// At the end, when all is given back.
inline void count_memory(benchmark::State& state) {
    state.counters["rss_peak_kib"] = static_cast<double>(own_peak_kib());
    state.counters["rss_after_drop_kib"] = static_cast<double>(resident_kib() - library_kib);
}

}  // namespace bench

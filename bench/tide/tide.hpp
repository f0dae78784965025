// The tide: a flood of blocks, then quiet. What the program that runs it and the driver that starts the program have in
// common: the names, and how long things take.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <string_view>

namespace bench::tide {

// What else there is beside the flood. All but `background`: one thread goes on allocating elsewhere.
inline constexpr std::string_view left_alone = "left-alone";
inline constexpr std::string_view sleeping = "sleeping-500";  // threads asleep, each with full magazines
inline constexpr std::string_view exited = "exited-500";      // threads that had full magazines and have exited
inline constexpr std::string_view background = "background";  // nobody allocates; a tidepool::background_ticker runs
inline constexpr std::array variants{left_alone, sleeping, exited, background};

inline constexpr std::array<std::string_view, 6> contestants{
    "tidepool/mimalloc", "tidepool/jemalloc", "tidepool/pages", "mimalloc", "jemalloc", "synchronized_pool"};

inline constexpr unsigned takers = 8, freers = 8, bystanders = 500;
inline constexpr std::size_t flood_bytes = std::size_t{1} << 30;

// Tidepool's default, which is what runs.
inline constexpr std::chrono::milliseconds decay_interval{1000};
// A background_ticker's default: how late each of its ticks may be.
inline constexpr std::chrono::milliseconds ticker_period{250};
// From the last free to the upstream's purge, and from there to the end.
inline constexpr std::chrono::milliseconds quiet{3500}, after_purge{500};
inline constexpr std::chrono::milliseconds sample_period{20};

}  // namespace bench::tide

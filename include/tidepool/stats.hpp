// Counters of a pool. One list defines the struct and its text form.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include <tidepool/detail/config.hpp>

// name, unit, meaning
#define TIDEPOOL_STATS(X)                                                                            \
    X(hits_private, "blocks", "taken from the thread's own magazines")                               \
    X(hits_chain, "blocks", "taken by loading a magazine of the thread's own chain")                 \
    X(hits_steal, "blocks", "taken by stealing a magazine from another thread")                      \
    X(hits_victim, "blocks", "taken from the previous generation")                                   \
    X(misses, "blocks", "not found in the cache")                                                    \
    X(bypasses, "blocks", "taken or freed past the cache: signal handlers, exiting threads, visits") \
    X(refills, "calls", "batches requested from the source")                                         \
    X(refilled_blocks, "blocks", "received from the source")                                         \
    X(spills, "calls", "batches returned to the source because a local was full")                    \
    X(spilled_blocks, "blocks", "returned to the source because a local was full")                   \
    X(ticks, "ticks", "performed")                                                                   \
    X(blocks_cached, "blocks", "idle in the cache now")                                              \
    X(bytes_cached, "bytes", "idle in the cache now")                                                \
    X(bytes_lent, "bytes", "of room that locals have from the depot beyond their own share")         \
    X(bytes_idle, "bytes", "in spans without a block in use, kept for reuse")                        \
    X(blocks_in_use, "blocks", "with the program now")                                               \
    X(bytes_in_use, "bytes", "with the program now, in whole blocks")                                \
    X(blocks_returned, "blocks", "returned to the source: spilled, decayed, trimmed, bypassed")      \
    X(bytes_returned, "bytes", "returned to the source")                                             \
    X(bytes_held_peak, "bytes", "most that was in use and cached together, seen at a refill")        \
    X(bytes_cached_peak, "bytes", "most that was cached, seen at a tick or a snapshot")              \
    X(upstream_bytes, "bytes", "held from the upstream now")                                         \
    X(upstream_bytes_peak, "bytes", "most that was held from the upstream")                          \
    X(large_blocks, "blocks", "with the program now, directly from the upstream")                    \
    X(large_bytes, "bytes", "with the program now, directly from the upstream")                      \
    X(locals, "locals", "per-thread caches that exist")                                              \
    X(membarrier_refused, "0 or 1", "1: of threads that run, the caller's own magazines only are seen")

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// A snapshot. Exact if no other thread uses the pool during the call. Otherwise each figure was true at some moment of
// the call, and figures may disagree by the operations in progress.
struct stats {
#define TIDEPOOL_STATS_FIELD(name, unit, meaning) std::uint64_t name = 0;
    TIDEPOOL_STATS(TIDEPOOL_STATS_FIELD)
#undef TIDEPOOL_STATS_FIELD

    friend bool operator==(const stats&, const stats&) = default;
};

// One line for each counter: name, value, unit, meaning.
std::string to_string(const stats& snapshot);
std::ostream& operator<<(std::ostream& out, const stats& snapshot);

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

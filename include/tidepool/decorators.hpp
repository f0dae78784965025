// Upstreams that do something to another upstream: count, limit, log, fail for tests, ask the program when memory is
// out.
//
//   tidepool::limited_upstream limit(tidepool::mimalloc_upstream(), 512 << 20);
//   tidepool::logging_upstream log(limit, "calls.txt");
//   tidepool::pool_resource pool(log);
//
// Each refers to the one below it and is referred to by the one above it, or by a pool: they must outlive those. They
// pass on what the upstream below can do besides allocating, but not a release() of everything at once, since several
// pools may draw from one. All members may be called by any thread at any time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

#include <tidepool/detail/config.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// What all of them pass on. Not for use by itself.
class upstream_adaptor {
public:
    upstream_adaptor(const upstream_adaptor&) = delete;
    upstream_adaptor& operator=(const upstream_adaptor&) = delete;

    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        upstream_.deallocate(p, bytes, alignment);
    }
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept {
        upstream_.deallocate_batch(bytes, alignment, blocks, count);
    }
    void purge() noexcept { upstream_.purge(); }
    void discard(void* p, std::size_t bytes) noexcept { upstream_.discard(p, bytes); }
    std::size_t good_size(std::size_t bytes) const noexcept { return upstream_.good_size(bytes); }
    bool heartbeat_safe() const noexcept { return upstream_.heartbeat_safe(); }
    bool draws_from(const void* allocator) const noexcept { return upstream_.draws_from(allocator); }

    const upstream& below() const noexcept { return upstream_; }

protected:
    explicit upstream_adaptor(const upstream& below) noexcept : upstream_(below) {}
    ~upstream_adaptor() = default;

    const upstream upstream_;
};

// Counts.
class counting_upstream : public upstream_adaptor {
public:
    struct counts {
        std::uint64_t allocations = 0;    // blocks given, ever
        std::uint64_t failures = 0;       // blocks asked for and not given, ever
        std::uint64_t deallocations = 0;  // blocks come back, ever
        std::uint64_t purges = 0;         // calls
        std::uint64_t bytes_live = 0;     // out now
        std::uint64_t bytes_peak = 0;     // most that was out
        std::uint64_t blocks_live() const noexcept { return allocations - deallocations; }
    };

    explicit counting_upstream(const upstream& below) noexcept : upstream_adaptor(below) {}

    // Exact when no other thread is in a call; otherwise each figure is one that was true at some moment.
    counts counted() const noexcept;

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
    void purge() noexcept;
    static const char* name() noexcept { return "counting"; }

private:
    void out(std::size_t bytes, std::size_t asked, std::size_t got) noexcept;
    void in(std::size_t bytes, std::size_t count) noexcept;

    // Relaxed throughout: sums, not signals.
    std::atomic<std::uint64_t> allocations_{0}, failures_{0}, deallocations_{0}, purges_{0}, bytes_live_{0},
        bytes_peak_{0};
};

// At most so many bytes out at any moment, as they were asked for, of all pools above it together. Who would pass the
// limit has the pools above it ticked, then trimmed, and gets null where that was not enough.
class limited_upstream : public upstream_adaptor {
public:
    limited_upstream(const upstream& below, std::size_t bytes_max) noexcept
        : upstream_adaptor(below), bytes_max_(bytes_max) {}

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
    static const char* name() noexcept { return "limited"; }

    std::size_t bytes_max() const noexcept { return bytes_max_; }
    std::size_t bytes_live() const noexcept { return live_.load(std::memory_order_relaxed); }

private:
    bool reserve(std::size_t bytes) noexcept;
    void give_up(std::size_t bytes) noexcept { live_.fetch_sub(bytes, std::memory_order_relaxed); }

    const std::size_t bytes_max_;
    std::atomic<std::size_t> live_{0};  // never above bytes_max_; relaxed: the number itself is all that is agreed on
};

// Writes a line for each call to a file: seconds of the monotonic clock, the thread's system number, what was called,
// address, bytes, alignment. One write() a call, by which lines of several threads do not mix; no memory is allocated.
// A batch is logged block by block. What cannot be written is lost and counted.
class logging_upstream : public upstream_adaptor {
public:
    // Appends to the file, which is made where it is not there. Throws std::system_error where it cannot be opened.
    logging_upstream(const upstream& below, const char* path);
    ~logging_upstream();

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
    void purge() noexcept;
    static const char* name() noexcept { return "logging"; }

    std::uint64_t lines_lost() const noexcept { return lines_lost_.load(std::memory_order_relaxed); }

private:
    void write(const char* what, const void* p, std::size_t bytes, std::size_t alignment) noexcept;

    int file_;                                  // fixed
    std::atomic<std::uint64_t> lines_lost_{0};  // relaxed: a sum
};

// Fails on request: for tests of what stands above it. A batch asks for its blocks one by one, so each may fail.
class failing_upstream : public upstream_adaptor {
public:
    explicit failing_upstream(const upstream& below) noexcept : upstream_adaptor(below) {}

    // Of the blocks asked for from now on, the n-th fails; 1 is the next.
    void fail_at(std::uint64_t n) noexcept { fail_between(n, n); }
    // The n-th and all after it.
    void fail_from(std::uint64_t n) noexcept { fail_between(n, std::numeric_limits<std::uint64_t>::max()); }
    // One in so many, at random, by a seed that replays: which ones follows from their number alone. 1: all.
    void fail_one_in(std::uint32_t n, std::uint64_t seed) noexcept;
    void never_fail() noexcept;

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return fails() ? nullptr : upstream_.allocate(bytes, alignment);
    }
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    static const char* name() noexcept { return "failing"; }

    // Failed on request so far.
    std::uint64_t failures() const noexcept { return failures_.load(std::memory_order_relaxed); }

private:
    void fail_between(std::uint64_t first, std::uint64_t last) noexcept;
    bool fails() noexcept;

    // Relaxed throughout: who changes them while others allocate is content with "soon".
    std::atomic<std::uint64_t> asked_{0};  // since the last request
    std::atomic<std::uint64_t> first_{std::numeric_limits<std::uint64_t>::max()}, last_{0};
    std::atomic<std::uint32_t> one_in_{0};  // 0: not at random
    std::atomic<std::uint64_t> seed_{0};
    std::atomic<std::uint64_t> failures_{0};
};

// Calls the program where the upstream below has no memory: it may free some and ask for another try. Called by the
// thread that lacks memory, in the midst of its request and perhaps by several at once, so what is above it must be
// able to bear what it does; it must not throw. A batch is asked for as a whole, and the program called where it got
// nothing.
class retrying_upstream : public upstream_adaptor {
public:
    // Most tries again for one request.
    static constexpr int retries_max = 16;

    // `out_of_memory` returns true to ask for another try; not empty.
    retrying_upstream(const upstream& below,
                      std::function<bool(std::size_t bytes, std::size_t alignment)> out_of_memory)
        : upstream_adaptor(below), out_of_memory_(std::move(out_of_memory)) {}

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    static const char* name() noexcept { return "retrying"; }

private:
    const std::function<bool(std::size_t, std::size_t)> out_of_memory_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Upstreams that decorate another upstream: they count, limit, log, fail in tests, or ask the program if memory is out.
//
//   tidepool::limited_upstream limit(tidepool::mimalloc_upstream(), 512 << 20);
//   tidepool::logging_upstream log(limit, "calls.txt");
//   tidepool::pool_resource pool(log);
//
// Each refers to its backing, which must outlive it, and must itself outlive the pools and decorators that refer to it.
// They forward what the backing offers besides allocation, except release(), because several pools may draw from one.
// All members are thread-safe.
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

// What all of them forward. Not for use by itself.
class upstream_decorator {
public:
    upstream_decorator(const upstream_decorator&) = delete;
    upstream_decorator& operator=(const upstream_decorator&) = delete;

    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        backing_.deallocate(p, bytes, alignment);
    }
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept {
        backing_.deallocate_batch(bytes, alignment, blocks, count);
    }
    void purge() noexcept { backing_.purge(); }
    void discard(void* p, std::size_t bytes) noexcept { backing_.discard(p, bytes); }
    std::size_t good_size(std::size_t bytes) const noexcept { return backing_.good_size(bytes); }
    bool heartbeat_safe() const noexcept { return backing_.heartbeat_safe(); }
    bool draws_from(const void* allocator) const noexcept { return backing_.draws_from(allocator); }

    const upstream& backing() const noexcept { return backing_; }

protected:
    explicit upstream_decorator(const upstream& backing) noexcept : backing_(backing) {}
    ~upstream_decorator() = default;

    const upstream backing_;
};

// Counts blocks and bytes.
class counting_upstream : public upstream_decorator {
public:
    struct counts {
        std::uint64_t allocations = 0;    // blocks, since construction
        std::uint64_t failures = 0;       // blocks that were requested and not allocated
        std::uint64_t deallocations = 0;  // blocks
        std::uint64_t purges = 0;         // calls
        std::uint64_t bytes_live = 0;     // in allocated blocks, now
        std::uint64_t bytes_peak = 0;     // the most at any moment
        std::uint64_t blocks_live() const noexcept { return allocations - deallocations; }
    };

    explicit counting_upstream(const upstream& backing) noexcept : upstream_decorator(backing) {}

    // Exact if no other thread is in a call; otherwise each value was true at some moment.
    counts counted() const noexcept;

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
    void purge() noexcept;
    static const char* name() noexcept { return "counting"; }

private:
    void account_out(std::size_t bytes, std::size_t asked, std::size_t got) noexcept;
    void account_in(std::size_t bytes, std::size_t count) noexcept;

    // Relaxed throughout: sums, not signals.
    std::atomic<std::uint64_t> allocations_{0}, failures_{0}, deallocations_{0}, purges_{0}, bytes_live_{0},
        bytes_peak_{0};
};

// Limits the requested bytes in allocated blocks, of all pools that draw from it together. A request beyond the limit
// first ticks, then trims those pools, and returns null if that was not enough.
class limited_upstream : public upstream_decorator {
public:
    limited_upstream(const upstream& backing, std::size_t bytes_max) noexcept
        : upstream_decorator(backing), bytes_max_(bytes_max) {}

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
    static const char* name() noexcept { return "limited"; }

    std::size_t bytes_max() const noexcept { return bytes_max_; }
    std::size_t bytes_live() const noexcept { return live_.load(std::memory_order_relaxed); }

private:
    bool reserve(std::size_t bytes) noexcept;
    void unreserve(std::size_t bytes) noexcept { live_.fetch_sub(bytes, std::memory_order_relaxed); }

    const std::size_t bytes_max_;
    std::atomic<std::size_t> live_{0};  // never above bytes_max_; relaxed: no other data depends on it
};

// Writes a line for each call to a file: seconds of the monotonic clock, the thread's system id, the function, address,
// bytes, alignment. Each line is one write(), so that lines of several threads do not mix; no memory is allocated. A
// batch is logged block by block. A line that cannot be written is lost and counted.
class logging_upstream : public upstream_decorator {
public:
    // Appends to the file, which is created if it does not exist. Throws std::system_error if it cannot be opened.
    logging_upstream(const upstream& backing, const char* path);
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

    const int file_;
    std::atomic<std::uint64_t> lines_lost_{0};  // relaxed: a sum
};

// Fails on request, for tests of what draws from it. A batch requests its blocks one by one, so each may fail.
class failing_upstream : public upstream_decorator {
public:
    explicit failing_upstream(const upstream& backing) noexcept : upstream_decorator(backing) {}

    // The n-th block requested from now on fails; 1 is the next.
    void fail_at(std::uint64_t n) noexcept { fail_between(n, n); }
    // The n-th and all after it fail.
    void fail_from(std::uint64_t n) noexcept { fail_between(n, std::numeric_limits<std::uint64_t>::max()); }
    // One in n fails, at random; which ones follows from the seed and their number. 1: all.
    void fail_one_in(std::uint32_t n, std::uint64_t seed) noexcept;
    void never_fail() noexcept;

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return fails() ? nullptr : backing_.allocate(bytes, alignment);
    }
    static const char* name() noexcept { return "failing"; }

    // Requests that failed on request, since construction.
    std::uint64_t failures() const noexcept { return failures_.load(std::memory_order_relaxed); }

private:
    void fail_between(std::uint64_t first, std::uint64_t last) noexcept;
    bool fails() noexcept;

    // Relaxed throughout: a change while other threads allocate takes effect soon.
    std::atomic<std::uint64_t> asked_{0};  // since the last request
    std::atomic<std::uint64_t> first_{std::numeric_limits<std::uint64_t>::max()}, last_{0};
    std::atomic<std::uint32_t> one_in_{0};  // 0: not at random
    std::atomic<std::uint64_t> seed_{0};
    std::atomic<std::uint64_t> failures_{0};
};

// Calls the program if the backing has no memory; it may free some and request another try. It is called by the thread
// that lacks memory, in the midst of its request and possibly by several at once, so what it does must be allowed
// there; it must not throw. A batch is requested as a whole, and the program called if no block was allocated.
class retrying_upstream : public upstream_decorator {
public:
    // Most further tries for one request.
    static constexpr int retries_max = 16;

    // `out_of_memory` must not be empty. It returns true to request another try.
    retrying_upstream(const upstream& backing,
                      std::function<bool(std::size_t bytes, std::size_t alignment)> out_of_memory)
        : upstream_decorator(backing), out_of_memory_(std::move(out_of_memory)) {}

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    static const char* name() noexcept { return "retrying"; }

private:
    const std::function<bool(std::size_t, std::size_t)> out_of_memory_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

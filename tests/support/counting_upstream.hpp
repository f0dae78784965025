// Upstreams that count what was allocated and returned, and check that each block was returned as it was allocated.
//
//   counting_upstream  a tidepool upstream
//   counting_resource  the same as a std::pmr::memory_resource
//
// All members are thread-safe. Every byte is filled with junk when it is allocated, so that nobody relies on zeroes,
// and overwritten when it is returned, so that a sanitizer sees a block that is returned poisoned or still in use.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory_resource>
#include <mutex>
#include <new>
#include <unordered_map>

namespace support {

class counting_upstream {
public:
    struct totals {
        std::uint64_t calls = 0;        // calls of allocate(), also those that failed
        std::uint64_t failures = 0;     // calls that failed on request
        std::uint64_t returns = 0;      // calls of deallocate()
        std::uint64_t bytes_out = 0;    // total allocated by the pool
        std::uint64_t bytes_in = 0;     // total returned by the pool
        std::uint64_t bytes_peak = 0;   // most that was allocated at once
        std::uint64_t blocks_live = 0;  // allocated now
        std::uint64_t mismatches = 0;   // returned with a wrong size or alignment, twice, or never allocated
        std::uint64_t bytes_live() const { return bytes_out - bytes_in; }
    };

    counting_upstream() = default;
    counting_upstream(const counting_upstream&) = delete;
    counting_upstream& operator=(const counting_upstream&) = delete;
    // Frees what is still allocated, so that a test about a leak does not itself leak.
    ~counting_upstream() {
        for (const auto& [p, is] : live_) ::operator delete (p, std::align_val_t{is.alignment});
    }

    // The n-th allocate() from now on fails, once; 1 is the next.
    void fail_at(std::uint64_t n) { fail_between(n, n); }
    // The n-th allocate() from now on and all after it fail.
    void fail_from(std::uint64_t n) { fail_between(n, std::numeric_limits<std::uint64_t>::max()); }
    void never_fail() { fail_between(0, 0); }

    totals counted() const {
        const std::lock_guard hold(lock_);
        return totals_;
    }

    // Whether all blocks were returned as they were allocated.
    bool balanced() const {
        const std::lock_guard hold(lock_);
        return live_.empty() && totals_.bytes_out == totals_.bytes_in && totals_.mismatches == 0;
    }

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        {
            const std::lock_guard hold(lock_);
            ++totals_.calls;
            ++calls_since_;
            if (calls_since_ >= fail_first_ && calls_since_ <= fail_last_) {
                ++totals_.failures;
                return nullptr;
            }
        }
        void* p = ::operator new (bytes, std::align_val_t{alignment}, std::nothrow);
        if (!p) return nullptr;
        std::memset(p, 0xA5, bytes);
        const std::lock_guard hold(lock_);
        live_.emplace(p, shape{bytes, alignment});
        ++totals_.blocks_live;
        totals_.bytes_out += bytes;
        if (totals_.bytes_live() > totals_.bytes_peak) totals_.bytes_peak = totals_.bytes_live();
        return p;
    }

    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        shape was;
        {
            const std::lock_guard hold(lock_);
            ++totals_.returns;
            const auto found = live_.find(p);
            if (found == live_.end()) {
                ++totals_.mismatches;
                FAIL_CHECK("the upstream got a block that is not out: ", p, ", ", bytes, " bytes");
                return;
            }
            was = found->second;
            if (was.bytes != bytes || was.alignment != alignment) {
                ++totals_.mismatches;
                FAIL_CHECK("the upstream gave ", was.bytes, " bytes aligned to ", was.alignment, " and got back ",
                           bytes, " aligned to ", alignment);
            }
            live_.erase(found);
            --totals_.blocks_live;
            totals_.bytes_in += was.bytes;
        }
        std::memset(p, 0x5A, was.bytes);
        ::operator delete (p, std::align_val_t{was.alignment});
    }

    const char* name() const noexcept { return "counting"; }

private:
    struct shape {
        std::size_t bytes = 0;
        std::size_t alignment = 0;
    };

    void fail_between(std::uint64_t first, std::uint64_t last) {
        const std::lock_guard hold(lock_);
        calls_since_ = 0;
        fail_first_ = first;
        fail_last_ = last;
    }

    mutable std::mutex lock_;  // guards all below
    totals totals_;
    std::unordered_map<void*, shape> live_;
    std::uint64_t calls_since_ = 0;  // since the last fail_…()
    std::uint64_t fail_first_ = 0;
    std::uint64_t fail_last_ = 0;
};

// allocate() throws std::bad_alloc if the counting upstream fails the call.
class counting_resource final : public std::pmr::memory_resource {
public:
    counting_upstream books;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (void* p = books.allocate(bytes, alignment)) return p;
        throw std::bad_alloc();
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
        books.deallocate(p, bytes, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace support

#include <tidepool/decorators.hpp>

#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/raise.hpp"
#include "base/splitmix.hpp"
#include "base/uncancelled.hpp"
#include "clock/registry.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// ---- counting ------------------------------------------------------------------------------------------------------

counting_upstream::counts counting_upstream::counted() const noexcept {
    counts now;
    // Deallocations first, so that there are never more of them than allocations.
    now.deallocations = deallocations_.load(std::memory_order_acquire);  // partner: account_in()
    now.allocations = allocations_.load(std::memory_order_relaxed);
    now.failures = failures_.load(std::memory_order_relaxed);
    now.purges = purges_.load(std::memory_order_relaxed);
    now.bytes_live = bytes_live_.load(std::memory_order_relaxed);
    now.bytes_peak = bytes_peak_.load(std::memory_order_relaxed);
    return now;
}

void counting_upstream::account_out(std::size_t bytes, std::size_t asked, std::size_t got) noexcept {
    if (got < asked) failures_.fetch_add(asked - got, std::memory_order_relaxed);
    if (got == 0) return;
    allocations_.fetch_add(got, std::memory_order_relaxed);
    const std::uint64_t live = bytes_live_.fetch_add(bytes * got, std::memory_order_relaxed) + bytes * got;
    std::uint64_t peak = bytes_peak_.load(std::memory_order_relaxed);
    while (peak < live && !bytes_peak_.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
    }
}

// Before the deallocation, because the peak would count the block twice if another thread is given it.
void counting_upstream::account_in(std::size_t bytes, std::size_t count) noexcept {
    bytes_live_.fetch_sub(bytes * count, std::memory_order_relaxed);
    deallocations_.fetch_add(count, std::memory_order_release);  // with what account_out() has counted
}

void* counting_upstream::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    void* p = backing_.allocate(bytes, alignment);
    account_out(bytes, 1, p ? 1 : 0);
    return p;
}

std::size_t counting_upstream::allocate_batch(std::size_t bytes, std::size_t alignment, void** blocks,
                                              std::size_t count) noexcept {
    const std::size_t got = backing_.allocate_batch(bytes, alignment, blocks, count);
    account_out(bytes, count, got);
    return got;
}

void counting_upstream::deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    account_in(bytes, 1);
    backing_.deallocate(p, bytes, alignment);
}

void counting_upstream::deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks,
                                         std::size_t count) noexcept {
    account_in(bytes, count);
    backing_.deallocate_batch(bytes, alignment, blocks, count);
}

void counting_upstream::purge() noexcept {
    purges_.fetch_add(1, std::memory_order_relaxed);
    backing_.purge();
}

// ---- limited -------------------------------------------------------------------------------------------------------

bool limited_upstream::reserve(std::size_t bytes) noexcept {
    std::size_t live = live_.load(std::memory_order_relaxed);
    do
        if (bytes > bytes_max_ - live) return false;
    while (!live_.compare_exchange_weak(live, live + bytes, std::memory_order_relaxed));
    return true;
}

// Holds no lock while the pools return memory, so several threads may do this at once.
void* limited_upstream::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes > bytes_max_) return nullptr;
    bool fits = reserve(bytes);
    for (const auto how : {detail::reclaim_depth::tick, detail::reclaim_depth::trim}) {
        if (fits) break;
        detail::registry::reclaim(this, how);
        fits = reserve(bytes);
    }
    if (!fits) return nullptr;
    void* p = backing_.allocate(bytes, alignment);
    if (!p) unreserve(bytes);
    return p;
}

std::size_t limited_upstream::allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                             std::size_t count) noexcept {
    std::size_t got = 0;
    if (count <= bytes_max_ / std::max<std::size_t>(bytes, 1) && reserve(bytes * count)) {
        got = backing_.allocate_batch(bytes, alignment, out, count);
        unreserve(bytes * (count - got));
        return got;
    }
    // What is left; only if that is nothing, what the pools can return.
    while (got < count && reserve(bytes)) {
        if (!(out[got] = backing_.allocate(bytes, alignment))) {
            unreserve(bytes);
            return got;
        }
        ++got;
    }
    if (got == 0 && (out[0] = allocate(bytes, alignment))) got = 1;
    return got;
}

// The bytes are free after the deallocation, not before.
void limited_upstream::deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    backing_.deallocate(p, bytes, alignment);
    unreserve(bytes);
}

void limited_upstream::deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks,
                                        std::size_t count) noexcept {
    backing_.deallocate_batch(bytes, alignment, blocks, count);
    unreserve(bytes * count);
}

// ---- logging -------------------------------------------------------------------------------------------------------

logging_upstream::logging_upstream(const upstream& backing, const char* path)
    : upstream_decorator(backing),
      file_(detail::uncancelled::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
    if (file_ < 0) detail::raise(std::system_error(errno, std::generic_category(), path));
}

logging_upstream::~logging_upstream() { detail::uncancelled::close(file_); }

void logging_upstream::write(const char* what, const void* p, std::size_t bytes, std::size_t alignment) noexcept {
    const int saved = errno;
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    char line[160];
    const int length =
        std::snprintf(line, sizeof line, "%lld.%09ld %ld %s %p %zu %zu\n", static_cast<long long>(now.tv_sec),
                      now.tv_nsec, ::syscall(SYS_gettid), what, p, bytes, alignment);
    if (detail::uncancelled::write(file_, line, static_cast<std::size_t>(length)) != length)
        lines_lost_.fetch_add(1, std::memory_order_relaxed);
    errno = saved;
}

void* logging_upstream::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    void* p = backing_.allocate(bytes, alignment);
    write("allocate", p, bytes, alignment);
    return p;
}

std::size_t logging_upstream::allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                             std::size_t count) noexcept {
    const std::size_t got = backing_.allocate_batch(bytes, alignment, out, count);
    for (std::size_t i = 0; i < got; ++i) write("allocate", out[i], bytes, alignment);
    if (got < count) write("allocate", nullptr, bytes, alignment);
    return got;
}

// Before the deallocation, because another thread may be given the address afterwards, and its line must come later.
void logging_upstream::deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    write("deallocate", p, bytes, alignment);
    backing_.deallocate(p, bytes, alignment);
}

void logging_upstream::deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks,
                                        std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) write("deallocate", blocks[i], bytes, alignment);
    backing_.deallocate_batch(bytes, alignment, blocks, count);
}

void logging_upstream::purge() noexcept {
    write("purge", nullptr, 0, 0);
    backing_.purge();
}

// ---- failing -------------------------------------------------------------------------------------------------------

void failing_upstream::fail_between(std::uint64_t first, std::uint64_t last) noexcept {
    one_in_.store(0, std::memory_order_relaxed);
    asked_.store(0, std::memory_order_relaxed);
    first_.store(first, std::memory_order_relaxed);
    last_.store(last, std::memory_order_relaxed);
}

void failing_upstream::fail_one_in(std::uint32_t n, std::uint64_t seed) noexcept {
    never_fail();
    seed_.store(seed, std::memory_order_relaxed);
    one_in_.store(n, std::memory_order_relaxed);
}

void failing_upstream::never_fail() noexcept { fail_between(std::numeric_limits<std::uint64_t>::max(), 0); }

bool failing_upstream::fails() noexcept {
    const std::uint64_t number = asked_.fetch_add(1, std::memory_order_relaxed) + 1;
    bool failed = number >= first_.load(std::memory_order_relaxed) && number <= last_.load(std::memory_order_relaxed);
    if (const std::uint32_t one_in = one_in_.load(std::memory_order_relaxed)) {
        const std::uint64_t of_this = seed_.load(std::memory_order_relaxed) + detail::splitmix_step * number;
        failed = detail::splitmix_mix(of_this) % one_in == 0;
    }
    if (failed) failures_.fetch_add(1, std::memory_order_relaxed);
    return failed;
}

// ---- retrying ------------------------------------------------------------------------------------------------------

void* retrying_upstream::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    void* p = backing_.allocate(bytes, alignment);
    for (int i = 0; !p && i < retries_max && out_of_memory_(bytes, alignment); ++i)
        p = backing_.allocate(bytes, alignment);
    return p;
}

std::size_t retrying_upstream::allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                              std::size_t count) noexcept {
    std::size_t got = backing_.allocate_batch(bytes, alignment, out, count);
    for (int i = 0; got == 0 && i < retries_max && out_of_memory_(bytes, alignment); ++i)
        got = backing_.allocate_batch(bytes, alignment, out, count);
    return got;
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

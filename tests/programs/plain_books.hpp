// A counting upstream that depends on nothing: it works before main, after it, and while a thread exits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace programs {

struct plain_books {
    // Relaxed throughout: sums that are read after all threads have been joined.
    std::atomic<std::size_t> bytes_out{0};  // total allocated by the pool
    std::atomic<std::size_t> bytes_in{0};   // total returned by the pool

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
        if (p) bytes_out.fetch_add(bytes, std::memory_order_relaxed);
        return p;
    }
    void deallocate(void* p, std::size_t bytes, std::size_t) noexcept {
        bytes_in.fetch_add(bytes, std::memory_order_relaxed);
        std::free(p);
    }

    bool used() const noexcept { return bytes_out.load(std::memory_order_relaxed) != 0; }
    bool balanced() const noexcept {
        return bytes_out.load(std::memory_order_relaxed) == bytes_in.load(std::memory_order_relaxed);
    }
};

// Ends the program at once with a non-zero status if the condition does not hold.
inline void require(bool holds, const char* what) noexcept {
    if (holds) return;
    std::fprintf(stderr, "check failed: %s\n", what);
    std::fflush(stderr);
    std::_Exit(1);
}

}  // namespace programs

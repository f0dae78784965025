// An upstream with books that needs nothing of the program: it works before main, after it, and in any thread's last
// moments.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace programs {

struct plain_books {
    // Relaxed throughout: sums that are read when all is still.
    std::atomic<std::size_t> bytes_out{0};  // given to the pool, ever
    std::atomic<std::size_t> bytes_in{0};   // come back, ever

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

// Ends the program at once, and not with 0, where something is not as it should be.
inline void require(bool holds, const char* what) noexcept {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::fflush(stderr);
    std::_Exit(1);
}

}  // namespace programs

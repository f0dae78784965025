// The soak over malloc, whichever is preloaded: see soak.hpp.
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <new>
#include <utility>

#include "soak.hpp"

namespace {

std::atomic<bool> failing{false};

}  // namespace

// In front of libc's, for what calls it by its public name, as each shim does. One in three calls fails while
// `failing`.
extern "C" void* mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
    if (failing.load(std::memory_order_relaxed)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, file, offset));
}

namespace {

class malloc_family final : public soak::target {
public:
    void* take(unsigned kind, std::size_t bytes) noexcept override {
        switch (kind) {
            case 0:
                return std::malloc(bytes);
            case 1:
                return zeroed(std::calloc(bytes / 8, 8), bytes);
            case 2:
                return grown(std::malloc(bytes / 16 * 8), bytes);
            case 3:
                return aligned(bytes < 4096 ? 64 : 4096, bytes);
            default:
                return ::operator new(bytes, std::nothrow);
        }
    }
    void give(unsigned kind, void* p, std::size_t bytes) noexcept override {
        kind == 4 ? ::operator delete(p, bytes) : std::free(p);
    }
    void tick() noexcept override {}  // by the clock
    void trim() noexcept override { malloc_trim(0); }
    void fail(bool always) noexcept override { failing = always; }
    std::uint64_t held() noexcept override {
        const struct mallinfo2 all = mallinfo2();
        return all.arena + all.hblkhd;
    }
    void settle() noexcept override { malloc_trim(0); }

private:
    static void* zeroed(void* p, std::size_t bytes) noexcept {
        std::uint64_t some = 0;
        if (p) soak::for_words(bytes, [&](std::size_t i) { some |= static_cast<std::uint64_t*>(p)[i]; });
        if (some != 0) soak::give_up("calloc has left something", bytes);
        return p;
    }
    static void* aligned(std::size_t alignment, std::size_t bytes) noexcept {
        void* p = std::aligned_alloc(alignment, bytes);
        if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) soak::give_up("a block is not aligned", alignment);
        return p;
    }
    // A block that realloc makes twice as large keeps its contents.
    static void* grown(void* p, std::size_t bytes) noexcept {
        if (!p) return nullptr;
        auto* const before = static_cast<std::uint64_t*>(p);
        before[0] = bytes;
        auto* const after = static_cast<std::uint64_t*>(std::realloc(p, bytes));
        if (!after) std::free(p);
        if (after && after[0] != bytes) soak::give_up("realloc has lost something", bytes);
        return after;
    }
};

}  // namespace

int main(int count, char** arguments) {
    static malloc_family all;
    return soak::soak(all, count, arguments);
}

// A program that brings a malloc of its own and leaves new and delete to whoever has them. What new allocates reaches
// the same malloc by delete, whichever that is.
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "forms.hpp"

namespace {

// A header before each block, which tells it from any other malloc's.
struct header {
    std::size_t bytes, mark;
};
constexpr std::size_t mark = 0xFEEDBEEF, arena_bytes = std::size_t{8} << 30;

std::atomic<std::size_t> used{0}, taken{0}, freed{0};  // relaxed: sums

char* arena() noexcept {
    static std::atomic<char*> mapped{nullptr};
    if (char* there = mapped.load(std::memory_order_acquire)) return there;
    auto* fresh = static_cast<char*>(
        mmap(nullptr, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (fresh == MAP_FAILED) __builtin_trap();
    char* other = nullptr;
    return mapped.compare_exchange_strong(other, fresh, std::memory_order_acq_rel) ? fresh : other;
}

void* take_aligned(std::size_t alignment, std::size_t bytes) noexcept {
    alignment = std::max(alignment, sizeof(header));
    const std::size_t room = (bytes + alignment + 2 * sizeof(header) - 1) / sizeof(header) * sizeof(header);
    if (bytes > arena_bytes || used.load(std::memory_order_relaxed) + room > arena_bytes) {
        errno = ENOMEM;
        return nullptr;
    }
    const auto at = reinterpret_cast<std::uintptr_t>(arena()) + used.fetch_add(room, std::memory_order_relaxed);
    auto* p = reinterpret_cast<header*>((at + sizeof(header) + alignment - 1) & ~(alignment - 1));
    p[-1] = {bytes, mark};
    taken.fetch_add(1, std::memory_order_relaxed);
    return p;
}

}  // namespace

extern "C" {
void* malloc(std::size_t bytes) noexcept { return take_aligned(16, bytes); }
void* calloc(std::size_t count, std::size_t bytes) noexcept { return take_aligned(16, count * bytes); }
void* memalign(std::size_t alignment, std::size_t bytes) noexcept { return take_aligned(alignment, bytes); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept { return take_aligned(alignment, bytes); }
int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) noexcept {
    return (*out = take_aligned(alignment, bytes)) ? 0 : ENOMEM;
}
void free(void* p) noexcept {
    if (!p) return;
    programs::require(static_cast<header*>(p)[-1].mark == mark, "free is handed its own blocks only");
    freed.fetch_add(1, std::memory_order_relaxed);
}
void* realloc(void* p, std::size_t bytes) noexcept {
    void* other = malloc(bytes);
    if (p && other) {
        std::memcpy(other, p, std::min(bytes, static_cast<header*>(p)[-1].bytes));
        free(p);
    }
    return other;
}
std::size_t malloc_usable_size(void* p) noexcept { return p ? static_cast<header*>(p)[-1].bytes : 0; }
}

int main() {
    const std::size_t before = taken;
    programs::use_all_forms();
    programs::require(taken > before && freed > 0, "libc calls the program's malloc");
    if (programs::shim_promises())
        programs::require_at_most(taken - before, 100, "blocks of new that came from the program's malloc");
}

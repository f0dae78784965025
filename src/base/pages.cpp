#include "base/pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

void* map(std::size_t bytes) noexcept {
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? nullptr : p;
}

bool aligned(const void* p, std::size_t alignment) noexcept {
    return (reinterpret_cast<std::uintptr_t>(p) & (alignment - 1)) == 0;
}

// Maps too much and cuts off both ends.
void* map_and_cut(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t wide = bytes + alignment;
    if (wide < bytes) return nullptr;
    auto* first = static_cast<std::byte*>(map(wide));
    if (!first) return nullptr;
    const std::size_t before = -reinterpret_cast<std::uintptr_t>(first) & (alignment - 1);
    if (before) unmap_pages(first, before);
    if (const std::size_t after = wide - before - bytes) unmap_pages(first + before + bytes, after);
    return first + before;
}

}  // namespace

std::size_t page_bytes() noexcept {
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));  // libc has it in a variable
}

std::size_t whole_pages(std::size_t bytes) noexcept {
    const std::size_t page = page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

void* map_pages(std::size_t bytes, std::size_t alignment) noexcept {
    const int saved = errno;
    void* p = nullptr;
    if (const std::size_t rounded = whole_pages(bytes); rounded >= bytes && rounded != 0) {
        // The kernel places mappings side by side, so the plain call is aligned as a rule once the first one was.
        p = map(rounded);
        if (p && !aligned(p, alignment)) {
            unmap_pages(p, rounded);
            p = map_and_cut(rounded, alignment);
        }
    }
    errno = saved;
    return p;
}

void populate_pages(void* p, std::size_t bytes) noexcept {
    constexpr int populate_write = 23;  // MADV_POPULATE_WRITE, which not every libc brings
    const int saved = errno;
    ::madvise(p, bytes, populate_write);
    errno = saved;
}

void unmap_pages(void* p, std::size_t bytes) noexcept {
    const int saved = errno;
    if (::munmap(p, whole_pages(bytes)) != 0) ::madvise(p, whole_pages(bytes), MADV_DONTNEED);
    errno = saved;
}

bool empty_pages(void* p, std::size_t bytes) noexcept {
    const auto page = static_cast<std::uintptr_t>(page_bytes());
    const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(p) + page - 1) / page * page;
    const std::uintptr_t last = (reinterpret_cast<std::uintptr_t>(p) + bytes) / page * page;
    const int saved = errno;
    const bool empty = first >= last || ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) == 0;
    errno = saved;
    return empty;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

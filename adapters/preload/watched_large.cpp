// Large blocks of a hardened shim: each has a line in a book, filled room in front and behind, and is kept for a while
// when it is freed. One in many lies between pages that may not be touched.
//
// Invariants:
//  1. The book's lock is taken in slow sections only. What is allocated inside one is the backing's, and not watched.
//  2. A pointer without a line is the backing's: libc's as a rule, of the loader, a signal handler, or another library.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "adapters/preload/base/set_aside.hpp"
#include "adapters/preload/base/slow_section.hpp"
#include "base/address_table.hpp"
#include "base/fatal.hpp"
#include "base/immortal.hpp"
#include "base/lock_guard.hpp"
#include "base/pages.hpp"
#include "base/spin_lock.hpp"
#include "base/thread_id.hpp"
#include "large.hpp"
#include "source/contents.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace watched_large {

using namespace detail;

namespace {

// Nobody may touch them any more. Mapped anew and not protected, which a sandbox may forbid.
bool close_pages(void* begin, std::size_t bytes) noexcept {
    return ::mmap(begin, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

constexpr std::size_t room_least = 16;                        // in front of a block and behind it
constexpr std::size_t kept_blocks_max = 32;                   // freed ones
constexpr std::size_t kept_bytes_max = std::size_t{1} << 20;  // of one of them
constexpr std::uint32_t guarded_one_in = 64;

struct line {
    std::byte* begin;        // of what the backing gave, or of the mapping
    std::size_t bytes;       // that the program asked for
    std::size_t behind;      // bytes behind those, that are filled
    std::size_t mapped;      // bytes of the mapping; 0: the backing's
    std::uint32_t freed_by;  // 0: it is with the program
    bool with_program;
};

constinit immortal<address_table<line>> the_book{lock_rank::shim_watched};
address_table<line>& book() noexcept { return the_book.it; }

// Those that were freed last, oldest first from `kept_next` on. In slow sections, under a lock of its own: the book's
// is not held meanwhile.
constinit immortal<spin_lock> kept_lock{lock_rank::shim_watched};
constinit std::array<void*, kept_blocks_max> kept{};
constinit std::size_t kept_next = 0;

constinit std::atomic<std::uint32_t> asked{0};  // relaxed: a sample

// Filled bytes in front of a block; between guards as many as its first page has.
std::size_t in_front(const void* p, const line& its) noexcept {
    if (!its.mapped) return room_least;
    return std::min(static_cast<std::size_t>(static_cast<const std::byte*>(p) - its.begin) - page_bytes(), room_least);
}

// Where another thread forks for long, the backing's block as it is, which needs no line; null between guards.
void* enter(void* p, const line& its) noexcept {
    bool known = false;
    {
        const slow_section section;
        if (!section && !its.mapped) return its.begin;
        known = static_cast<bool>(section) && book().set(p, its);
    }
    if (!known) {
        its.mapped ? unmap_pages(its.begin, its.mapped) : backing::free(its.begin);
        errno = ENOMEM;
        return nullptr;
    }
    const std::size_t front = in_front(p, its);
    contents::fill_spare(static_cast<std::byte*>(p) - front, front);
    contents::fill_spare(static_cast<std::byte*>(p) + its.bytes, its.behind);
    return p;
}

// A block with `lead` bytes in front of it, of what ask() gives for that many and more.
template <class Ask>
void* allocate(std::size_t bytes, std::size_t lead, Ask ask) noexcept {
    auto* begin = static_cast<std::byte*>(ask(lead + bytes + room_least));
    if (!begin) return nullptr;
    return enter(begin + lead, {begin, bytes, room_least, 0, 0, true});
}

bool is_sampled() noexcept { return asked.fetch_add(1, std::memory_order_relaxed) % guarded_one_in == 0; }

// Whether the thread may not enter the book, being in a slow section.
bool is_inside() noexcept { return inside != 0; }

void check_edges(void* p, const line& its) noexcept {
    const std::size_t front = in_front(p, its);
    if (contents::changed_spare(static_cast<std::byte*>(p) - front, front) != contents::no_change)
        fatal("underflow: a byte in front of %p was changed: large block of %zu bytes", p, its.bytes);
    const std::size_t where = contents::changed_spare(static_cast<std::byte*>(p) + its.bytes, its.behind);
    if (where != contents::no_change)
        fatal("overflow: byte %zu of %p was changed: large block of %zu bytes", its.bytes + where, p, its.bytes);
}

void return_block(void* p, const line& its) noexcept {
    if (its.mapped) return unmap_pages(its.begin, its.mapped);
    const std::size_t where = contents::changed_idle(p, its.bytes, its.bytes);
    if (where != contents::no_change)
        fatal("write after free: byte %zu of %p was changed: large block of %zu bytes, freed last by thread %u", where,
              p, its.bytes, its.freed_by);
    backing::free_inside(its.begin);
}

// In a slow section.
void let_go(void* p) noexcept {
    if (!p) return;
    if (const auto its = book().erase(p)) return_block(p, *its);
}

// Null, or the one that has been kept longest, whose place p takes.
void* keep(void* p) noexcept {
    const lock_guard hold(kept_lock.it);
    return std::exchange(kept[kept_next++ % kept_blocks_max], p);
}

// In a slow section. False where p has no line.
bool free_watched(void* p) noexcept {
    std::optional<line> found;
    book().update(p, [&](line* its) {
        if (!its) return;
        found = *its;
        its->with_program = false;
        its->freed_by = thread_id();
    });
    if (!found) return false;
    if (!found->with_program)
        fatal("double free of %p: large block of %zu bytes, freed last by thread %u", p, found->bytes, found->freed_by);
    check_edges(p, *found);
    if (found->mapped)
        close_pages(found->begin, found->mapped);
    else
        contents::fill_idle(p, found->bytes, found->bytes);
    let_go(found->bytes <= kept_bytes_max ? keep(p) : p);
    return true;
}

// The line of a block that the program has; null for a pointer without one. In a slow section.
std::optional<line> look_up(void* p, const char* what) noexcept {
    const auto its = book().get(p);
    if (its && !its->with_program)
        fatal("%s of freed block %p: large block of %zu bytes, freed last by thread %u", what, p, its->bytes,
              its->freed_by);
    return its;
}

// A pointer without a line. Ends the program where it lies in a watched block, or in no memory at all. In a slow
// section.
void check_foreign(void* p, const char* what) noexcept {
    book().for_each([&](const void* block, const line& its) {
        const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(p) - its.begin);
        const std::size_t all = its.mapped ? its.mapped : its.bytes + 2 * room_least;
        if (offset < all)
            fatal("%s of foreign pointer %p: it lies in the large block of %zu bytes at %p", what, p, its.bytes, block);
    });
    const std::size_t page = page_bytes();
    auto* const its_page = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(p) & ~(page - 1));
    // Advice that changes nothing, but is refused where nothing is mapped.
    const int before = errno;
    if (::madvise(its_page, page, MADV_NORMAL) != 0 && errno == ENOMEM)
        fatal("%s of foreign pointer %p: there is no memory, or none any more", what, p);
    errno = before;
}

}  // namespace

void* malloc(std::size_t bytes) noexcept {
    if (is_inside()) return backing::malloc(bytes);
    if (is_sampled()) return guarded(room_least, bytes);
    return allocate(bytes, room_least, [](std::size_t all) { return backing::malloc(all); });
}

void* calloc(std::size_t count, std::size_t bytes) noexcept {
    if (is_inside()) return backing::calloc(count, bytes);
    return allocate(count * bytes, room_least, [](std::size_t all) { return backing::calloc(1, all); });
}

void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
    if (is_inside()) return backing::memalign(alignment, bytes);
    const std::size_t lead = std::max(alignment, room_least);
    return allocate(bytes, lead, [=](std::size_t all) { return backing::memalign(lead, all); });
}

void* guarded(std::size_t alignment, std::size_t bytes) noexcept {
    const std::size_t page = page_bytes(), own = whole_pages(std::max(bytes, std::size_t{1})), mapped = own + 2 * page;
    if (is_inside() || alignment > page) return memalign(alignment, bytes);
    auto* begin = static_cast<std::byte*>(map_pages(mapped, page));
    if (!begin || !close_pages(begin, page) || !close_pages(begin + page + own, page)) {
        if (begin) unmap_pages(begin, mapped);
        errno = ENOMEM;
        return nullptr;
    }
    const std::size_t offset = (own - bytes) & ~(alignment - 1);
    void* p = enter(begin + page + offset, {begin, bytes, own - bytes - offset, mapped, 0, true});
    return p ? p : memalign(alignment, bytes);
}

void free(void* p) noexcept {
    {
        const slow_section section;
        if (!section) return set_aside(p);
        if (free_watched(p)) return;
        check_foreign(p, "free");
    }
    backing::free(p);
}

void free_inside(void* p) noexcept {
    if (!free_watched(p)) backing::free_inside(p);
}

// Inside a slow section it fails: the book, which says whose p is, must not be read. As the backing's, it waits for a
// fork: whoever were refused would be told that there is no memory.
void* realloc(void* p, std::size_t bytes) noexcept {
    std::optional<line> had;
    {
        const slow_section section(meanwhile::wait);
        if (!section) {
            errno = ENOMEM;
            return nullptr;
        }
        had = look_up(p, "realloc");
        if (!had) check_foreign(p, "realloc");
    }
    if (!had) return backing::realloc(p, bytes);
    if (bytes == 0) {
        free(p);
        return nullptr;
    }
    void* moved = malloc(bytes);
    if (!moved) return nullptr;
    std::memcpy(moved, p, std::min(bytes, had->bytes));
    free(p);
    return moved;
}

// 0 inside a slow section, for the same reason.
std::size_t usable_size(void* p) noexcept {
    {
        const slow_section section(meanwhile::wait);
        if (!section) return 0;
        if (const auto its = look_up(p, "malloc_usable_size")) return its->bytes;
        check_foreign(p, "malloc_usable_size");
    }
    return backing::usable_size(p);
}

void check_size(void* p, std::size_t bytes) noexcept {
    const slow_section section;
    if (!section) return;
    const auto its = book().get(p);
    if (its && its->with_program && its->bytes != bytes)
        fatal("wrong size: %p has %zu bytes and was freed as %zu", p, its->bytes, bytes);
}

void trim() noexcept {
    const slow_section section;
    for (std::size_t i = 0; section && i < kept_blocks_max; ++i) let_go(keep(nullptr));
}

void before_fork() noexcept {
    kept_lock.it.lock_for_fork();
    book().before_fork();
}
void after_fork() noexcept {
    book().after_fork();
    kept_lock.it.unlock_after_fork();
}

}  // namespace watched_large
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The backing: an other malloc. libc's malloc serves where that must not be called: inside a slow section, that is in a
// signal handler or a fork handler that interrupts one, or in code that libc calls during one.
//
// Invariant: a block that is not the pool's is the other malloc's exactly if it is in the book; all others are libc's.
// The book's lock is taken in slow sections only. A block freed inside one is set aside, whichever malloc it is from.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "adapters/base/natural_alignment.hpp"
#include "adapters/preload/base/set_aside.hpp"
#include "adapters/preload/base/slow_section.hpp"
#include "backing.hpp"
#include "base/address_table.hpp"
#include "base/fatal.hpp"
#include "base/immortal.hpp"
#include "base/signals_blocked.hpp"
#include "libc.hpp"
#include "other_malloc.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace backing {

namespace {

// With the bytes that were asked for.
constinit detail::immortal<detail::address_table<std::size_t>> the_book{detail::lock_rank::shim_book};
detail::address_table<std::size_t>& book() noexcept { return the_book.it; }

constinit std::atomic<std::size_t> in_use{0};  // bytes in the book; relaxed: a sum

// Until then libc's has all: the other one may have no thread-local variables yet. Relaxed: set while there is one
// thread.
constinit std::atomic<bool> started{false};
bool serves(const other_malloc::request& wanted) noexcept {
    return started.load(std::memory_order_relaxed) && other_malloc::serves(wanted);
}

// The result of ask(), called in a slow section and entered in the book; or of otherwise(), if the thread is in a slow
// section already, or there is no memory.
template <class Ask, class Otherwise>
void* allocate_noted(std::size_t bytes, Ask ask, Otherwise otherwise) noexcept {
    void* p = nullptr;
    {
        const slow_section section;
        if (section) p = ask();
        if (p && !book().set(p, bytes)) {
            other_malloc::deallocate(p, bytes);
            p = nullptr;
        }
    }
    if (!p) return otherwise();
    in_use.fetch_add(bytes, std::memory_order_relaxed);
    return p;
}

// In a slow section. False if p is not in the book.
bool deallocate_noted(void* p) noexcept {
    const auto had = book().erase(p);  // first, because another thread may be given the address afterwards
    if (!had) return false;
    in_use.fetch_sub(*had, std::memory_order_relaxed);
    other_malloc::deallocate(p, *had);
    return true;
}

// In a slow section, with p taken out of the book, so that no other thread enters the same address meanwhile.
void* reallocate(void* p, std::size_t had, std::size_t bytes) noexcept {
    void* moved = other_malloc::reallocate(p, had, detail::naturally_aligned_bytes(bytes, detail::natural_alignment));
    if (!book().set(moved ? moved : p, moved ? bytes : had))
        detail::fatal("no memory for the book of large blocks, in a realloc from %zu to %zu bytes", had, bytes);
    if (moved) in_use.fetch_add(bytes - had, std::memory_order_relaxed);
    return moved;
}

}  // namespace

void start(std::chrono::nanoseconds decay_interval, std::size_t idle_bytes_max) noexcept {
    other_malloc::start(decay_interval, idle_bytes_max);
    started.store(true, std::memory_order_relaxed);
}

void* malloc(std::size_t bytes) noexcept {
    if (!serves({bytes})) return libc::malloc(bytes);
    return allocate_noted(
        bytes, [=] { return other_malloc::allocate(bytes); }, [=] { return libc::malloc(bytes); });
}

// count * bytes must not overflow.
void* calloc(std::size_t count, std::size_t bytes) noexcept {
    if (!serves({count * bytes})) return libc::calloc(count, bytes);
    return allocate_noted(
        count * bytes, [=] { return other_malloc::allocate_zeroed(count * bytes); },
        [=] { return libc::calloc(count, bytes); });
}

void* memalign(std::size_t alignment, std::size_t wanted) noexcept {
    const std::size_t bytes = wanted ? wanted : 1;
    if (!serves({bytes, alignment})) return libc::memalign(alignment, bytes);
    return allocate_noted(
        bytes, [=] { return other_malloc::allocate_aligned(bytes, alignment); },
        [=] { return libc::memalign(alignment, bytes); });
}

// Fails inside a slow section, where the book, which says whose p is, must not be read. So it waits for a fork.
void* realloc(void* p, std::size_t bytes) noexcept {
    bool entered, ours = false;
    std::size_t leaves = 0;  // what p has, where the new size is one for libc's malloc
    void* moved = nullptr;
    {
        const slow_section section(meanwhile::wait);
        entered = static_cast<bool>(section);
        if (entered && bytes == 0 && deallocate_noted(p)) return nullptr;
        if (entered && !serves({bytes})) {
            leaves = book().get(p).value_or(0);
        } else {
            const auto had = entered ? book().erase(p) : std::nullopt;
            if ((ours = had.has_value())) moved = reallocate(p, *had, bytes);
        }
    }
    if (leaves) {
        if ((moved = libc::malloc(bytes))) {
            std::memcpy(moved, p, std::min(leaves, bytes));
            backing::free(p);
        }
        return moved;
    }
    if (entered && !ours) return libc::realloc(p, bytes);
    if (!moved) errno = ENOMEM;
    return moved;
}

void free(void* p) noexcept {
    {
        const slow_section section;
        if (!section) return set_aside(p);
        if (deallocate_noted(p)) return;
        if (other_malloc::holds(p))
            detail::fatal("double free of %p, or no pointer to a block: no large block begins there", p);
    }
    libc::free(p);
}

void free_inside(void* p) noexcept {
    if (!deallocate_noted(p)) libc::free(p);
}

// 0 inside a slow section, for the same reason as realloc().
std::size_t usable_size(void* p) noexcept {
    {
        const slow_section section(meanwhile::wait);
        if (!section) return 0;
        if (const auto had = book().get(p)) return other_malloc::usable_size(p, *had);
    }
    return libc::usable_size(p);
}

bool trim(std::size_t keep) noexcept {
    bool any = false;
    {
        const slow_section section;
        if (section) any = other_malloc::purge();
    }
    const detail::signals_blocked undisturbed;  // a handler that frees a block of libc's would wait for its lock
    return libc::trim(keep) || any;
}

use measure() noexcept {
    const use its = libc::measure();
    const std::size_t ours = in_use.load(std::memory_order_relaxed);
    return {its.in_use + ours, its.held + ours + other_malloc::idle_bytes()};
}

upstream spans() noexcept { return other_malloc::spans(); }

void before_fork() noexcept {
    other_malloc::before_fork();
    book().before_fork();
}
void after_fork(bool in_child) noexcept {
    book().after_fork();
    other_malloc::after_fork(in_child);
}

}  // namespace backing
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

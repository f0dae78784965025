#include "page_map.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/pages.hpp"

namespace tidepool::inline TIDEPOOL_ABI::detail::page_map {

namespace {

constexpr unsigned page_bits = 16, leaf_bits = 16, root_bits = 16;

using entry = std::atomic<span*>;
using leaf = entry;  // the first of 1 << leaf_bits

// 512 KiB of zeroes that are not resident until a leaf is entered.
constinit std::atomic<leaf*> root[std::size_t{1} << root_bits]{};

struct place {
    std::uintptr_t branch, twig;
};

place locate(std::uintptr_t address) noexcept {
    const std::uintptr_t number = address >> page_bits;
    return {number >> leaf_bits, number & ((std::uintptr_t{1} << leaf_bits) - 1)};
}

// The leaf of a branch, made where it is missing. Two threads that make one at once: the loser gives its own back.
leaf* reach(std::uintptr_t branch) noexcept {
    leaf* there = root[branch].load(std::memory_order_acquire);  // partner: the exchange below
    if (there) return there;
    constexpr std::size_t bytes = sizeof(entry) << leaf_bits;
    // Fresh pages are zero, and zero bytes are null pointers: not writing them keeps the leaf out of memory.
    static_assert(entry::is_always_lock_free && sizeof(entry) == sizeof(span*));
    auto* fresh = static_cast<leaf*>(map_pages(bytes, alignof(entry)));
    if (!fresh) return nullptr;
    // Release on success: an empty leaf. Acquire on failure: the winner's.
    if (root[branch].compare_exchange_strong(there, fresh, std::memory_order_acq_rel, std::memory_order_acquire))
        return fresh;
    unmap_pages(fresh, bytes);
    return there;
}

// Calls use(entry) for each page of the range.
template <class Use>
bool for_pages(const void* base, std::size_t bytes, Use use) noexcept {
    const auto first = reinterpret_cast<std::uintptr_t>(base);
    constexpr std::uint64_t end = std::uint64_t{1} << (page_bits + leaf_bits + root_bits);
    if (first >= end || bytes > end - first) return false;
    for (std::size_t at = 0; at < bytes; at += page) {
        const place where = locate(first + at);
        leaf* there = reach(where.branch);
        if (!there) return false;
        use(there[where.twig]);
    }
    return true;
}

}  // namespace

span* find(const void* p) noexcept {
    const place where = locate(reinterpret_cast<std::uintptr_t>(p));
    if (where.branch >> root_bits) return nullptr;
    const leaf* there = root[where.branch].load(std::memory_order_acquire);  // partner: reach()
    // Acquire: partner of set(): what the span says of itself. A block's span was set before the block was given out, so
    // a live block always finds its own.
    return there ? there[where.twig].load(std::memory_order_acquire) : nullptr;
}

bool set(const void* base, std::size_t bytes, span* s) noexcept {
    const bool done = for_pages(base, bytes, [&](entry& e) { e.store(s, std::memory_order_release); });
    if (!done) clear(base, bytes);
    return done;
}

void clear(const void* base, std::size_t bytes) noexcept {
    for_pages(base, bytes, [](entry& e) { e.store(nullptr, std::memory_order_release); });
}

}  // namespace tidepool::inline TIDEPOOL_ABI::detail::page_map

#include "source/page_map.hpp"

#include "base/fatal.hpp"
#include "base/pages.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace page_map {

static_assert(sizeof(span*) <= sizeof(std::uint64_t) && size_class_count < 1U << (64 - class_bit));

constinit std::atomic<leaf*> root[std::size_t{1} << root_bits]{};
constinit entry digest[digest_lines]{};

namespace {

// The leaf of a branch, made where it is missing. Two threads that make one at once: the loser unmaps its own.
leaf* reach(std::uintptr_t branch) noexcept {
    leaf* there = root[branch].load(std::memory_order_acquire);  // partner: the exchange below
    if (there) return there;
    constexpr std::size_t bytes = sizeof(entry) << leaf_bits;
    // Fresh pages are zero, and zero bytes are empty entries: not writing them keeps the leaf out of memory.
    static_assert(entry::is_always_lock_free && sizeof(entry) == sizeof(std::uint64_t));
    auto* fresh = static_cast<leaf*>(map_pages(bytes, alignof(entry)));
    if (!fresh) return nullptr;
    // Release on success: an empty leaf. Acquire on failure: the winner's.
    if (root[branch].compare_exchange_strong(there, fresh, std::memory_order_acq_rel, std::memory_order_acquire))
        return fresh;
    unmap_pages(fresh, bytes);
    return there;
}

// Relaxed: who frees a block has it from somebody who had it after its page was entered. A page that goes takes out its
// own line only. Another page may enter the line between the look and the exchange: then that one stays.
void note(std::uintptr_t number, std::uint64_t class_after) noexcept {
    entry& line = digest[number % digest_lines];
    const std::uint64_t address = std::uint64_t{number} << page_bits;
    if (class_after) return line.store(address | class_after * bin_stride * granule, std::memory_order_relaxed);
    std::uint64_t now = line.load(std::memory_order_relaxed);
    if (now >> page_bits == number) line.compare_exchange_strong(now, 0, std::memory_order_relaxed);
}

// Stores `value` for each page of the range.
bool fill(const void* base, std::size_t bytes, std::uint64_t value) noexcept {
    const auto first = reinterpret_cast<std::uintptr_t>(base);
    constexpr std::uint64_t end = std::uint64_t{1} << (page_bits + leaf_bits + root_bits);
    if (first >= end || bytes > end - first) return false;
    for (std::size_t at = 0; at < bytes; at += page) {
        const std::uintptr_t number = (first + at) >> page_bits;
        leaf* there = reach(number >> leaf_bits);
        if (!there) return false;
        there[number & ((std::uintptr_t{1} << leaf_bits) - 1)].store(value, std::memory_order_release);
        note(number, value >> class_bit);
    }
    return true;
}

}  // namespace

bool set(const void* base, std::size_t bytes, span* s, std::uint32_t size_class) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(s);
    if (address >> class_bit) return false;
    const bool done = fill(base, bytes, address | std::uint64_t{size_class + 1} << class_bit);
    if (!done) clear(base, bytes);
    return done;
}

void clear(const void* base, std::size_t bytes) noexcept { fill(base, bytes, 0); }

// A page leaves the map before it leaves the digest, and enters in the same order: so a line that is the same before
// and after a look at the map speaks of the page that was found there, or of one that is just leaving.
void check() noexcept {
    for (const entry& each : digest) {
        const std::uint64_t line = each.load(std::memory_order_acquire);
        if (line == 0) continue;
        const std::uintptr_t number = line >> page_bits, after = line % page / granule / bin_stride;
        const std::uint64_t found = look_up(reinterpret_cast<const void*>(number << page_bits)) >> class_bit;
        if (found != 0 && found != after && each.load(std::memory_order_relaxed) == line)
            fatal("page %zu has blocks of size class %zu, and the digest says %zu", std::size_t{number},
                  std::size_t{found} - 1, std::size_t{after} - 1);
    }
}

}  // namespace page_map
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Puts an owner's stamp into each block, and counts blocks that have two owners at once or overlap another block.
//
// The stamp stands in the first and in the last whole word of a block and is written and read by atomic operations, so
// that a violation is counted instead of being undefined behaviour. It is seen whenever two holders overlap in time:
// either the second to mark() finds the first's stamp, or the first to unmark() finds its own gone. A block that the
// program loses by release() keeps its stamp, so do not mark blocks that end that way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "scale.hpp"

namespace support {

class stamps {
public:
    // Called by the thread that allocated `block`. Precondition: bytes >= 16, owner < 65536, the block aligned to 8.
    void mark(void* block, std::size_t bytes, std::size_t owner) noexcept {
        const std::uint64_t mine = stamp_of(block, owner);
        // Relaxed: only the order of writes to one word matters; the pool orders a hand-over.
        if (in_use(block, first(block).exchange(mine, std::memory_order_relaxed))) report();
        last(block, bytes).store(mine, std::memory_order_relaxed);
        // A plain word: ThreadSanitizer reports it unless the put of a block happens-before the get that returns it.
        if constexpr (under_tsan)
            if (bytes >= 24) plain(block) = owner;
    }

    // Called by the thread that frees the block, before it does.
    void unmark(void* block, std::size_t bytes, std::size_t owner) noexcept {
        if constexpr (under_tsan)
            if (bytes >= 24 && plain(block) != owner) report();
        std::uint64_t mine = stamp_of(block, owner);
        if (last(block, bytes).load(std::memory_order_relaxed) != mine) report();
        if (!first(block).compare_exchange_strong(mine, nobody, std::memory_order_relaxed)) report();
    }

    // The number of blocks with two owners so far.
    std::size_t violations() const noexcept { return violations_.load(std::memory_order_relaxed); }

private:
    using word = std::atomic_ref<std::uint64_t>;
    static constexpr std::uint64_t nobody = 0;
    static constexpr std::uint64_t magic = 0xC0FEULL << 48;  // no user-space address begins with this

    // Magic, 32 bits of the address, 16 bits of owner.
    static std::uint64_t stamp_of(void* block, std::size_t owner) noexcept {
        return magic | (reinterpret_cast<std::uintptr_t>(block) >> 3 & 0xFFFFFFFFU) << 16 | (owner & 0xFFFFU);
    }
    // Whether `found` is a stamp of this very block, since fresh memory may hold anything.
    static bool in_use(void* block, std::uint64_t found) noexcept {
        return (found | 0xFFFFU) == (stamp_of(block, 0) | 0xFFFFU);
    }

    static word first(void* block) noexcept { return word(*static_cast<std::uint64_t*>(block)); }
    static word last(void* block, std::size_t bytes) noexcept {
        return word(static_cast<std::uint64_t*>(block)[bytes / 8 - 1]);
    }
    static std::uint64_t& plain(void* block) noexcept { return static_cast<std::uint64_t*>(block)[1]; }

    void report() noexcept { violations_.fetch_add(1, std::memory_order_relaxed); }

    std::atomic<std::size_t> violations_{0};
};

}  // namespace support

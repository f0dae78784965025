// A table of pointers that only grows and whose entries never move: readers need no lock and no hazard pointer.
//
// Invariants:
//  1. Segment 0 holds `first` entries, segment k > 0 holds first << (k - 1): together first << k after segment k.
//  2. A segment is published once (release) and stays; an entry's address never changes while the table's memory lives.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/arena.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <class T>
class stable_table {
public:
    static constexpr std::uint32_t first = 64;
    static constexpr std::uint32_t entries_max = 1U << 16;

    // The entry, or null where it was never set. Any thread. O(1).
    T* get(std::uint32_t i) const noexcept {
        const place at = find(i);
        const std::atomic<T*>* entries = segments_[at.segment].load(std::memory_order_acquire);  // partner: set()
        return entries ? entries[at.offset].load(std::memory_order_acquire) : nullptr;           // partner: set()
    }

    // False when there is no memory for it, or i >= entries_max. One writer at a time. O(1) but for a new segment.
    bool set(std::uint32_t i, T* value, arena& records) noexcept {
        if (i >= entries_max) return false;
        const place at = find(i);
        std::atomic<std::atomic<T*>*>& segment = segments_[at.segment];
        std::atomic<T*>* entries = segment.load(std::memory_order_relaxed);  // relaxed: only the writer stores it
        if (!entries) {
            static_assert(segments_adjoin());
            const std::size_t count = size_of(at.segment);
            void* memory = records.allocate(count * sizeof(std::atomic<T*>), alignof(std::atomic<T*>));
            if (!memory) return false;
            entries = static_cast<std::atomic<T*>*>(memory);
            for (std::size_t k = 0; k < count; ++k) ::new (entries + k) std::atomic<T*>(nullptr);
            segment.store(entries, std::memory_order_release);  // the empty entries, for get()
        }
        entries[at.offset].store(value, std::memory_order_release);  // what `value` points to, for get()
        return true;
    }

private:
    struct place {
        std::uint32_t segment, offset;
    };

    static constexpr place find(std::uint32_t i) noexcept {
        const auto segment = static_cast<std::uint32_t>(std::bit_width(i / first));
        return {segment, segment == 0 ? i : i - (first << (segment - 1))};
    }

    static constexpr std::uint32_t segment_count = std::bit_width(entries_max / first);
    static constexpr std::uint32_t size_of(std::uint32_t segment) noexcept {
        return segment == 0 ? first : first << (segment - 1);
    }

    // Invariant 1, at both ends of each segment.
    static constexpr bool segments_adjoin() noexcept {
        std::uint32_t begin = 0;
        for (std::uint32_t k = 0; k < segment_count && begin < entries_max; begin += size_of(k++)) {
            const place head = find(begin), tail = find(begin + size_of(k) - 1);
            if (head.segment != k || head.offset != 0 || tail.segment != k || tail.offset != size_of(k) - 1)
                return false;
        }
        return begin >= entries_max;
    }

    std::array<std::atomic<std::atomic<T*>*>, segment_count> segments_{};
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

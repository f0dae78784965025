// The private hit, inlined into the faces: what a thread does when its own magazine has what it wants.
//
// Who calls it: the faces only. What is not a private hit ends in one of the two slow functions at the foot, which live
// in src/pool/pool.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/magazine.hpp>
#include <tidepool/detail/pin_slot.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class pool;

// Builds that check, drop or poison blocks do so in the slow functions and see every block there. The hardened shim
// that users get looks at them itself.
inline constexpr bool always_slow = checked || poisoning;

// Makes the compiler change a word in memory with one instruction, where it would take two with the value it has at
// hand.
template <class T>
inline void forget([[maybe_unused]] T& word) noexcept {
#if defined(__GNUC__)
    asm("" : "+m"(word));
#endif
}

// A private hit, or what miss() returns, which is also asked when it is time to look at the clock. Needs: `index` and
// `size_class` are valid for the pool. Any thread, for itself.
template <class Miss>
inline void* take_or(std::uint32_t index, std::size_t bin_offset, Miss miss) {
    if constexpr (always_slow) return miss();
    thread_slot& me = *this_thread;
    local_head& mine = me.pin_slots[index].enter(me);
    hot_bin& bin = mine.bin_at(bin_offset);
    void** const top = bin.top;
    if (top == bin.begin || --bin.hits_left < 0) [[unlikely]] {
        me.pin_slots[index].leave(mine);
        return miss();
    }
    forget(bin.top);
    --bin.top;
    void* block = top[-1];
    me.pin_slots[index].leave(mine);
    return block;
}

// Puts a block into the private magazine; where that has no room, miss() takes it, and where the block is the one that
// was put there last, which is a double free, miss() ends the program. As take_or(). What lies before the first block
// of a magazine is no block's address (magazine.hpp), so an empty one needs no test of its own.
template <class Miss>
inline void give_or(std::uint32_t index, std::size_t bin_offset, void* block, Miss miss) noexcept {
    if constexpr (always_slow) return miss();
    thread_slot& me = *this_thread;
    local_head& mine = me.pin_slots[index].enter(me);
    hot_bin& bin = mine.bin_at(bin_offset);
    void** const top = bin.top;
    if (top == bin.end || top[-1] == block) [[unlikely]] {
        me.pin_slots[index].leave(mine);
        return miss();
    }
    *top = block;
    forget(bin.top);
    ++bin.top;
    me.pin_slots[index].leave(mine);
}

// The rest of the way: own magazines, chain, steal, victim, then the source. Null when the source is exhausted.
void* allocate_slow(pool& from, std::uint32_t size_class) noexcept;
// The rest of the way back. Never fails, never asks the upstream for memory.
void deallocate_slow(pool& to, void* block, std::uint32_t size_class) noexcept;

inline void* allocate(pool& from, std::uint32_t index, std::uint32_t size_class) noexcept {
    return take_or(index, bin_offset_of(size_class), [&] { return allocate_slow(from, size_class); });
}

inline void deallocate(pool& to, std::uint32_t index, void* block, std::uint32_t size_class) noexcept {
    give_or(index, bin_offset_of(size_class), block, [&] { deallocate_slow(to, block, size_class); });
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

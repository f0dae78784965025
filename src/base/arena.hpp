// Memory for a pool's own records: taken from the operating system, never from the user's upstream, and returned all
// at once when the pool ends. All members are thread-safe except the destructor.
//
// Invariant, under the lock: the chunks together have `bytes` bytes, and the first `used` of the newest are taken, its
// record among them.
//
// Nothing is freed singly. That is what makes late readers harmless: a thief that still holds a pointer to a ring, a
// magazine or a local reads memory that is its old type, as long as the pool lives. Who uses the arena recycles through
// lists of its own, so its size is bounded by the peak of what was needed at one time.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "base/lock_order.hpp"
#include "base/spin_lock.hpp"
#include "base/test_peer.hpp"
#include "base/thread_safety.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class arena {
public:
    // `rank`: of its lock.
    constexpr explicit arena(lock_rank rank = lock_rank::pool_records) noexcept : lock_(rank) {}
    arena(const arena&) = delete;
    arena& operator=(const arena&) = delete;
    ~arena();

    static constexpr std::size_t alignment_max = 128;

    // Zeroed memory, or null when there is none. `alignment`: a power of two up to alignment_max. O(1), but for the
    // occasional call to the operating system.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;

    // A T with `behind` bytes right after it; null when there is no memory. Its destructor never runs.
    template <class T, class... Arguments>
    T* make(std::size_t behind, Arguments&&... arguments) noexcept {
        void* place = allocate(sizeof(T) + behind, alignof(T));
        return place ? ::new (place) T(std::forward<Arguments>(arguments)...) : nullptr;
    }

    // Bytes mapped so far.
    std::size_t bytes() noexcept;

    // Ends the program where the invariant does not hold.
    void check() noexcept;

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    friend struct test_peer<arena>;
    struct chunk {
        chunk* next;
        std::size_t bytes;
    };

    bool grow(std::size_t bytes) noexcept TIDEPOOL_REQUIRES(lock_);

    spin_lock lock_;
    chunk* chunks_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;  // newest first; each begins with its own record
    std::size_t used_ TIDEPOOL_GUARDED_BY(lock_) = 0;     // bytes of the newest chunk that are taken
    std::size_t bytes_ TIDEPOOL_GUARDED_BY(lock_) = 0;    // mapped so far
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

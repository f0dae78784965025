// What a hardened build knows of a block, in a word beside its span. Any thread, without a lock.
//
// Invariant: only who takes a block from the pool, has it, or gives it back changes its line. A second one who gives it
// back at the same time loses the exchange in give_back().
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// given_back: on its way, to the program or from it; its contents are just being overwritten.
enum class block_state : std::uint8_t { idle, given_back, with_program };

// As std::atomic_thread_fence(), which the thread sanitizer does not know: g++ warns of it there.
inline void fence([[maybe_unused]] std::memory_order order) noexcept {
#if !defined(__SANITIZE_THREAD__)
    std::atomic_thread_fence(order);
#endif
}

class block_line {
public:
    struct known {
        std::uint32_t freed_by = 0;  // the thread that freed it last, as the system numbers them; 0: none yet
        std::uint16_t spare = 0;     // bytes at the block's end that the program did not ask for, and that are filled
        std::uint8_t uses = 0;       // so that a word does not soon have the same value again
        block_state state = block_state::idle;
        bool operator==(const known&) const = default;
    };

    // Acquire: partner of set(), and of give_back(): what was written into the block before.
    known get() const noexcept { return of(word_.load(std::memory_order_acquire)); }
    // Release: what was written into the block so far.
    void set(known its) noexcept { word_.store(of(its), std::memory_order_release); }

    // The block's bytes are about to change. What is written from here on is seen by nobody who does not see this, too,
    // when it looks at the line again behind an acquire fence: partner: check_before() in block_watch.cpp.
    void begin_change(known its) noexcept {
        its.state = block_state::given_back;
        word_.store(of(its), std::memory_order_relaxed);
        fence(std::memory_order_release);
    }

    // From the program; returns what was known. Where that is not with_program, nothing has changed. Acquire and
    // release as above.
    known give_back(std::uint32_t thread) noexcept {
        std::uint64_t word = word_.load(std::memory_order_acquire);
        for (;;) {
            known its = of(word);
            if (its.state != block_state::with_program) return its;
            known after = its;
            after.freed_by = thread;
            after.state = block_state::given_back;
            if (!word_.compare_exchange_weak(word, of(after), std::memory_order_acq_rel, std::memory_order_acquire))
                continue;
            fence(std::memory_order_release);  // as begin_change()
            return its;
        }
    }

private:
    static known of(std::uint64_t word) noexcept { return std::bit_cast<known>(word); }
    static std::uint64_t of(known its) noexcept { return std::bit_cast<std::uint64_t>(its); }

    std::atomic<std::uint64_t> word_{0};
};
static_assert(sizeof(block_line) == sizeof(std::uint64_t));

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

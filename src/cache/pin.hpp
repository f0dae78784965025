// The witness that a local is closed to everybody else: its owner is inside, or a visitor keeps the owner out. Only a
// pin yields a bin. While the thread has one, it must not call the source or the upstream, which builds that check
// assert.
//
// Who makes one: the roster (src/pool/roster.hpp).
//
// Source of the idea: tokio's and crossbeam's types that can only be had where what they allow is allowed.
#pragma once

#include <cstdint>
#include <utility>

#include "base/pinned.hpp"
#include "base/test_peer.hpp"
#include "cache/bin.hpp"
#include "cache/local.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/pin_slot.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class pin {
public:
    // Nobody's: the thread has no local to be had, or may not go in.
    pin() noexcept = default;
    pin(pin&& other) noexcept : local_(std::exchange(other.local_, nullptr)), owner_(other.owner_) {}
    pin& operator=(pin&&) = delete;
    ~pin() {
        if (!local_) return;
        pinned::leave();
        if (owner_) local_->slot->leave(*local_->head);
    }

    explicit operator bool() const noexcept { return local_; }

    bin of(std::uint32_t size_class) noexcept { return bin(*local_, size_class); }

    // Size classes from here on have never had a magazine.
    std::uint32_t classes() const noexcept { return local_->classes_; }

    // Makes up for the ticks since the local was rotated last: one as a rule, more where a visitor found the owner
    // inside. Two empty it, so more are not needed.
    void catch_up(std::uint64_t epoch) noexcept {
        const std::uint64_t behind = epoch - local_->epoch();
        if (behind == 0) return;
        for (std::uint32_t c = 0; c < classes(); ++c) {
            bin each = of(c);
            each.rotate();
            if (behind > 1) each.rotate();
        }
        local_->repay();
        local_->epoch_.store(epoch, std::memory_order_release);  // partner: local::epoch()
    }

    // What the chains have borrowed of the depot and do not hold any more.
    void repay() noexcept { local_->repay(); }

    // Counts an exchange of magazines, modulo 2^32.
    std::uint32_t count_exchange() noexcept { return ++local_->exchanges_; }

    // Ends the program where an invariant of local.hpp does not hold; as bin::check().
    void check(bool still) noexcept;

private:
    friend class roster;
    friend struct test_peer<pin>;

    // The owner, who leaves when the pin ends, or a visitor.
    enum class who { owner, visitor };
    pin(local& its_local, who is) noexcept : local_(&its_local), owner_(is == who::owner) { pinned::enter(); }

    local* local_ = nullptr;
    bool owner_ = false;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

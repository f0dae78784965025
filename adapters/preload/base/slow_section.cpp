#include "slow_section.hpp"

#include <cstdint>
#include <limits>

#include "base/thread_slots.hpp"
#include "base/waiting.hpp"

#include <tidepool/detail/pin_slot.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

using namespace detail;

constinit thread_local unsigned inside __attribute__((tls_model("initial-exec"))) = 0;

namespace {

constexpr unsigned stop_wait_rounds = 4096;  // how long a fork waits for those inside: 0.2 s
// How long a thread waits for a fork before it is refused: a millisecond or two. Otherwise those that hold no lock
// would go on at full speed and set aside more than the next thread can deallocate in reasonable time.
constexpr unsigned refuse_rounds = 144;

// Who may enter: all; none but the thread that forks, which needs not; in a child, none any more.
enum class door { open, fork, lost };
constinit std::atomic<door> the_door{door::open};
constinit std::atomic<std::uint32_t> without_slot{0};  // threads inside that had no slot when they entered

}  // namespace

// A thread marks itself and then looks whether another one forks; stop() says so and then looks for marks. All four are
// sequentially consistent: one of the two sees the other.
bool slow_section::enter_once() noexcept {
    inside = 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);  // for signal handlers: before the mark and the first lock
    mark_ = this_thread->usable ? &this_thread->in_slow_section : nullptr;
    if (mark_)
        mark_->store(true, std::memory_order_seq_cst);  // before the load of the_door below; against stop()
    else
        without_slot.fetch_add(1, std::memory_order_seq_cst);               // the same
    if (the_door.load(std::memory_order_seq_cst) == door::open) [[likely]]  // after the mark above; against stop()
        return true;
    leave();
    return false;
}

bool slow_section::enter(meanwhile another_forks) noexcept {
    if (enter_once()) [[likely]]
        return true;
    const unsigned rounds = another_forks == meanwhile::wait ? std::numeric_limits<unsigned>::max() : refuse_rounds;
    for (unsigned round = 0; round < rounds; ++round) {
        if (the_door.load(std::memory_order_relaxed) == door::lost) break;  // relaxed: for good
        wait_long(round);
        if (enter_once()) return true;
    }
    return false;
}

// Release: what was done inside, for stop().
void slow_section::leave() noexcept {
    if (mark_)
        mark_->store(false, std::memory_order_release);
    else
        without_slot.fetch_sub(1, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // for signal handlers: after the last lock and the mark
    inside = 0;
}

namespace slow_sections {

// A thread is given its slot inside a slow section that it entered without one. So when nobody is left of those, all
// slots of threads that may have found the door open are there to be seen.
void stop() noexcept {
    the_door.store(door::fork, std::memory_order_seq_cst);  // before the loads of marks below; against enter_once()
    unsigned round = 0;
    while (without_slot.load(std::memory_order_seq_cst) != 0 && round < stop_wait_rounds) wait_long(round++);
    const std::uint32_t slots = thread_slots::count();
    for (std::uint32_t i = 0; i < slots; ++i)
        if (const thread_slot* each = thread_slots::get(i))
            while (each->in_slow_section.load(std::memory_order_seq_cst) && round < stop_wait_rounds)
                wait_long(round++);
}

void resume() noexcept { the_door.store(door::open, std::memory_order_release); }  // partner: enter_once()

// Relaxed, as in the next: there is one thread.
void inherit() noexcept {
    for (std::uint32_t i = 0; i < thread_slots::count(); ++i)
        if (thread_slot* each = thread_slots::get(i)) each->in_slow_section.store(false, std::memory_order_relaxed);
    without_slot.store(0, std::memory_order_relaxed);
    resume();
}

void inherit_interrupted() noexcept {
    std::uint32_t inside_now = without_slot.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < thread_slots::count(); ++i)
        if (const thread_slot* each = thread_slots::get(i))
            inside_now += each->in_slow_section.load(std::memory_order_relaxed);
    if (inside_now > 1 || the_door.load(std::memory_order_relaxed) != door::open)
        the_door.store(door::lost, std::memory_order_relaxed);
}

}  // namespace slow_sections

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// While a thread is in a slow section it may hold locks of the pool or of its backing. A signal handler, a fork handler
// or libc itself that allocates on the thread meanwhile sees that, and takes none of them.
//
// While a thread forks, no other one is in a slow section. fork() takes locks of libc after the fork handlers have run
// (stdio's, that of getpwnam), and of other libraries in theirs. Who holds such a lock and allocates may not wait for
// the fork: it is refused after a moment, and served by libc's malloc, as in a signal handler.
#pragma once

#include <atomic>
#include <cerrno>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

// Whether the thread is in one. A number, because a fork in a signal handler may come inside a slow section. Of the two
// words that the shim has in each thread the second; the first is this_thread.
extern constinit thread_local unsigned inside __attribute__((tls_model("initial-exec")));

// What to do while another thread forks. Only who holds no lock that a fork handler may want should wait.
enum class meanwhile { refuse, wait };

// False if the thread is in one already, or is refused. errno is afterwards what it was before.
class slow_section {
public:
    explicit slow_section(meanwhile another_forks = meanwhile::refuse) noexcept
        : errno_(errno), entered_(inside == 0 && enter(another_forks)) {}
    slow_section(const slow_section&) = delete;
    slow_section& operator=(const slow_section&) = delete;
    ~slow_section() {
        if (entered_) leave();
        errno = errno_;
    }
    explicit operator bool() const noexcept { return entered_; }

private:
    bool enter(meanwhile another_forks) noexcept;
    bool enter_once() noexcept;
    void leave() noexcept;

    const int errno_;
    std::atomic<bool>* mark_ = nullptr;  // the slot's; null if the thread had none when it entered
    const bool entered_;
};

namespace slow_sections {

// Around a fork, by the forking thread, which is in none. The first lets nobody in and waits until all are out; not for
// ever, because a signal handler may keep one in.
void stop() noexcept;
void resume() noexcept;
// Instead of resume() in the child, where the others are gone.
void inherit() noexcept;

// In a child that was forked by a signal handler that interrupts a slow section. If other threads were in one, too,
// what they held is lost, and nobody enters one here again: libc's malloc serves this process.
void inherit_interrupted() noexcept;

}  // namespace slow_sections

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

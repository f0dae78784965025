#include "forks.hpp"

#include <pthread.h>
#include <signal.h>

#include "adapters/preload/base/slow_section.hpp"
#include "background.hpp"
#include "backing/backing.hpp"
#include "base/forks.hpp"
#include "clock/registry.hpp"
#include "large.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace forks {

namespace {

using detail::fork_nest;
namespace registry = detail::registry;

constinit fork_nest nest;
sigset_t signals_before;  // the forking thread's; written when no other one can begin a fork

// A fork is a slow section that ends in two processes, because other libraries' fork handlers may allocate meanwhile.
// They are served by libc's malloc, which fork() locks afterwards. A signal handler that allocates while it is locked
// would wait for its own thread, so signals wait.
//
// A fork in a signal handler that interrupts a slow section copies the locks as they are; this thread releases its own
// in both processes.
void before_fork() noexcept {
    if (nest.nested()) return;
    if (inside != 0) {
        ++inside;
        return;
    }
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    inside = 1;
    registry::before_fork([]() noexcept {
        nest.begin();
        slow_sections::stop();
    });
    signals_before = before;
    backing::before_fork();
    if constexpr (detail::hardened) watched_large::before_fork();
}

void after_fork(bool in_child) noexcept {
    if (!nest.here()) {
        if (in_child) slow_sections::inherit_interrupted();
        --inside;
        return;
    }
    const fork_nest::end_of which = nest.end(in_child);
    if (which == fork_nest::end_of::nested) return;
    const sigset_t before = signals_before;  // another thread may fork from here on
    if constexpr (detail::hardened) watched_large::after_fork();
    backing::after_fork(which == fork_nest::end_of::in_child);
    if (which == fork_nest::end_of::in_child) {
        registry::after_fork_in_child();
        slow_sections::inherit();
    } else {
        slow_sections::resume();
        registry::after_fork_in_parent();
    }
    inside = 0;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void after_fork_in_parent() noexcept { after_fork(false); }
void after_fork_in_child() noexcept {
    after_fork(true);
    background::after_fork_in_child();
}

}  // namespace

void begin_to_listen() noexcept { ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

}  // namespace forks
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

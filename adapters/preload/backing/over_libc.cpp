// The backing: libc's malloc, and spans from the operating system.
#include "adapters/base/mapped_pages.hpp"
#include "adapters/preload/base/slow_section.hpp"
#include "backing.hpp"
#include "base/immortal.hpp"
#include "base/signals_blocked.hpp"
#include "libc.hpp"
#include "source/span_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace backing {

namespace {

constinit detail::immortal<detail::span_regions<detail::mapped_pages>> its_spans;

}  // namespace

void* malloc(std::size_t bytes) noexcept { return libc::malloc(bytes); }
void* calloc(std::size_t count, std::size_t bytes) noexcept { return libc::calloc(count, bytes); }
void* realloc(void* p, std::size_t bytes) noexcept { return libc::realloc(p, bytes); }
void* memalign(std::size_t alignment, std::size_t bytes) noexcept { return libc::memalign(alignment, bytes); }
void free(void* p) noexcept { libc::free(p); }

// With signals blocked, because a handler would allocate from libc's malloc, whose lock this thread holds.
void free_inside(void* p) noexcept {
    const detail::signals_blocked undisturbed;
    libc::free(p);
}

std::size_t usable_size(void* p) noexcept { return libc::usable_size(p); }

// With signals blocked, because a handler that frees a block of libc's would wait for a lock that this thread holds.
bool trim(std::size_t keep) noexcept {
    {
        const slow_section section;
        if (section) its_spans.it.purge();
    }
    const detail::signals_blocked undisturbed;
    return libc::trim(keep);
}

use measure() noexcept { return libc::measure(); }

upstream spans() noexcept { return its_spans.it; }

void before_fork() noexcept { its_spans.it.before_fork(); }
void after_fork(bool) noexcept { its_spans.it.after_fork(); }

}  // namespace backing
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

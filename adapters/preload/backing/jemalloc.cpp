// The other malloc: jemalloc, the private copy.
#include "adapters/jemalloc/names.hpp"
#include "base/immortal.hpp"
#include "other_malloc.hpp"
#include "source/span_regions.hpp"

// Options that jemalloc reads: address space is returned, too. Each arena would keep its own, and a program with a
// limit on address space could not turn small blocks into large ones. It is asked for nothing that its thread
// caches would hold, and jemalloc crashes where the first of a thread finds no memory for an arena.
// MALLOC_CONF takes precedence.
extern "C" {
extern const char* tidepool_je_malloc_conf;
const char* tidepool_je_malloc_conf = "retain:false,tcache:false";
}

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace other_malloc {

namespace {

namespace je = ::tidepool_je;

// For regions. Above 8 MiB (opt.oversize_threshold) jemalloc uses an arena that purges at once, whichever thread frees.
struct oversize_blocks {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return tidepool_je_mallocx(bytes, je::aligned(alignment));
    }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept { tidepool_je_free(p); }
    static void purge() noexcept {}
    static const char* name() noexcept { return "jemalloc"; }
};

constinit detail::immortal<detail::span_regions<oversize_blocks>> its_spans;

// What jemalloc would have called around a fork. Written when it starts.
struct fork_handlers {
    void (*before)();
    void (*in_parent)();
    void (*in_child)();
};
constinit fork_handlers its_fork_handlers{};

}  // namespace

void start(std::chrono::nanoseconds, std::size_t) noexcept {}
std::size_t idle_bytes() noexcept { return 0; }
bool serves(const request&) noexcept { return true; }
bool holds(const void*) noexcept { return false; }
void* allocate(std::size_t bytes) noexcept { return tidepool_je_malloc(bytes); }
void* allocate_zeroed(std::size_t bytes) noexcept { return tidepool_je_calloc(1, bytes); }
void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    return tidepool_je_mallocx(bytes, je::aligned(alignment));
}
void* reallocate(void* p, std::size_t, std::size_t bytes) noexcept { return tidepool_je_realloc(p, bytes); }
void deallocate(void* p, std::size_t) noexcept { tidepool_je_free(p); }
std::size_t usable_size(void* p, std::size_t) noexcept { return tidepool_je_malloc_usable_size(p); }

bool purge() noexcept {
    its_spans.it.purge();
    std::size_t mib[3], length = 3;
    if (tidepool_je_mallctlnametomib("arena.0.purge", mib, &length) != 0) return false;
    mib[1] = je::all_arenas;
    tidepool_je_mallctlbymib(mib, length, nullptr, nullptr, nullptr, 0);
    return false;
}

upstream spans() noexcept { return its_spans.it; }

// jemalloc's own handlers are called here, and not by every fork: the one that locks would wait for its own thread
// where a signal handler forks that has interrupted jemalloc.
void before_fork() noexcept {
    its_spans.it.before_fork();
    if (its_fork_handlers.before) its_fork_handlers.before();
}
void after_fork(bool in_child) noexcept {
    if (its_fork_handlers.before) (in_child ? its_fork_handlers.in_child : its_fork_handlers.in_parent)();
    its_spans.it.after_fork();
}

}  // namespace other_malloc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// The private copy's pthread_atfork().
extern "C" int tidepool_je_atfork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
    tidepool::preload::other_malloc::its_fork_handlers = {before, in_parent, in_child};
    return 0;
}

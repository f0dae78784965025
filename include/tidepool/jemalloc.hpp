// jemalloc as upstream, as an arena of a pool's own, and as a plain memory resource. Link tidepool::jemalloc.
//
// There are two builds. By default the library contains a private copy of jemalloc, made from jemalloc's static archive
// under other names, and the program's malloc is not replaced. The copy reads MALLOC_CONF and /etc/malloc.conf, too.
// With -DTIDEPOOL_JEMALLOC=shared it is linked to libjemalloc, which then is the program's malloc. Tested with
// jemalloc 5.3.0.
//
// Heartbeat: jemalloc calls a hook of a thread after every 64 KiB that this allocates or frees (5.3.0), or one hook
// after every 64 KiB that any thread allocates (later versions). Both are experimental. With a jemalloc that has
// neither, pools age by their own slow path and by tickers; name() says so. In 5.3.0 the hook is set for each thread
// that allocates through the functions declared here, by its first allocation, and calls the hook that the thread had
// before.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory_resource>

#include <tidepool/detail/config.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Small blocks by malloc and sdallocx, in batches where those are faster; blocks of 64 KiB and more from an arena that
// all users of this upstream share and that purge() returns to the operating system. Spans are cut from blocks of 32
// MiB from that arena. Thread-safe. name() has version and heartbeat, as "jemalloc 5.3.0 (heartbeat: activity
// callback)".
upstream jemalloc_upstream() noexcept;

// new and delete by jemalloc, as a memory resource. Thread-safe; never destroyed. allocate() throws std::bad_alloc if
// there is no memory.
std::pmr::memory_resource* jemalloc_resource() noexcept;

// How long an arena keeps freed memory before it returns it to the operating system without a purge: dirty pages until
// they are returned lazily (MADV_FREE), muzzy ones until they are returned. Zero: not at all. -1: forever.
struct jemalloc_arena_options {
    std::chrono::milliseconds dirty_decay{1000};
    std::chrono::milliseconds muzzy_decay{0};
};

// A jemalloc arena of its own, for one pool. It bypasses jemalloc's thread caches, which would duplicate the pool's.
// Thread-safe except release() and the destructor.
//
//   tidepool::jemalloc_arena arena;
//   tidepool::pool_resource pool(arena);   // pool.release() and its destructor end in one arena reset
class jemalloc_arena {
public:
    // Throws std::bad_alloc if jemalloc has no arena left (there are 4094).
    explicit jemalloc_arena(const jemalloc_arena_options& options = {});
    jemalloc_arena(const jemalloc_arena&) = delete;
    jemalloc_arena& operator=(const jemalloc_arena&) = delete;
    // Destroys the arena with every block in it.
    ~jemalloc_arena();

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    // Returns all idle memory of the arena to the operating system.
    void purge() noexcept;
    // Frees all blocks at once, including those in use. The arena may be used again.
    void release() noexcept;
    std::size_t good_size(std::size_t bytes) const noexcept;
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return "jemalloc arena"; }

    // jemalloc's number for the arena, for mallctl and statistics.
    unsigned index() const noexcept { return index_; }

private:
    unsigned index_;
    int flags_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

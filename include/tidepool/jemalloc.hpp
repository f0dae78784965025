// jemalloc as upstream, as an arena of a pool's own, and as a plain memory resource. Link tidepool::jemalloc.
//
// It comes in two builds. As a rule the library has a private copy of jemalloc in it, made from jemalloc's static
// archive under other names: the program's malloc stays what it is, be it libc's or mimalloc's. MALLOC_CONF and
// /etc/malloc.conf are read by the copy, too. With -DTIDEPOOL_JEMALLOC=shared it is linked to libjemalloc, which is the
// program's malloc then. Tested with jemalloc 5.3.0.
//
// The heartbeat: jemalloc tells a thread of every 64 KiB that it has allocated or freed (5.3.0), or all threads of
// every 64 KiB allocated (later versions, through another hook). Both hooks are called experimental and may go; over a
// jemalloc without either, pools age by their own slow path and by tickers. name() says which it is. In 5.3.0 the hook
// is set for each thread that allocates through what is declared here, by its first allocation; one that the thread had
// before is called in turn.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory_resource>

#include <tidepool/detail/config.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Small blocks by malloc and sdallocx, in batches where those pay; from 64 KiB on out of an arena that all users of
// this upstream share and that purge() empties into the operating system. Spans are cut from blocks of 32 MiB out of
// that arena. Any thread. name() tells version and heartbeat, as "jemalloc 5.3.0 (heartbeat: activity callback)".
upstream jemalloc_upstream() noexcept;

// new and delete by jemalloc, as a memory resource. Any thread; never destroyed. allocate() throws std::bad_alloc when
// there is no memory.
std::pmr::memory_resource* jemalloc_resource() noexcept;

// How long an arena keeps freed memory before it gives it to the operating system, if nobody asked for a purge: dirty
// pages until they are advised away lazily, muzzy ones until they are gone. Zero: at once. -1: for good.
struct jemalloc_arena_options {
    std::chrono::milliseconds dirty_decay{1000};
    std::chrono::milliseconds muzzy_decay{0};
};

// A jemalloc arena of a pool's own, without jemalloc's thread caches: one cache above another would do no good. Any
// thread.
//
//   tidepool::jemalloc_arena arena;
//   tidepool::pool_resource pool(arena);   // pool.release() and its destructor end in one arena reset
class jemalloc_arena {
public:
    // Throws std::bad_alloc when jemalloc has no arena left (there are 4094).
    explicit jemalloc_arena(const jemalloc_arena_options& options = {});
    jemalloc_arena(const jemalloc_arena&) = delete;
    jemalloc_arena& operator=(const jemalloc_arena&) = delete;
    // Destroys the arena with every block in it. Nobody may be using it.
    ~jemalloc_arena();

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
    // All idle memory of the arena goes to the operating system.
    void purge() noexcept;
    // Frees all blocks of the arena at once, those in use, too. Nobody may be using it. The arena goes on empty.
    void release() noexcept;
    std::size_t good_size(std::size_t bytes) const noexcept;
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return "jemalloc arena"; }

    // jemalloc's number of the arena, for mallctl and its statistics.
    unsigned index() const noexcept { return index_; }

private:
    unsigned index_;
    int flags_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

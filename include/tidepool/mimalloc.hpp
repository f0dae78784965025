// mimalloc as upstream, as a heap for a single-threaded pool, and as a plain memory resource. Link tidepool::mimalloc.
//
// Linking it does not replace the program's malloc. mimalloc 2.0 and later; tested with 2.0.9.
//
// Heartbeat: mimalloc calls the process's deferred-free function in the slow path of its allocations, about once per
// 4 KiB that a thread allocates. The first mimalloc_upstream() or mimalloc_heap registers mimalloc_heartbeat(), and
// pools age as long as the process allocates from mimalloc. mimalloc has one such function, the last registered, and
// does not say which was registered before. A program with a function of its own passes it to mimalloc_pass_on(), which
// makes mimalloc_heartbeat() call it; or registers it later and calls mimalloc_heartbeat() from it.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <thread>

#include <tidepool/detail/config.hpp>
#include <tidepool/upstream.hpp>

struct mi_heap_s;  // mimalloc's own

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// mimalloc's default heaps. Thread-safe. Requests up to 1 KiB use mimalloc's entry point for small blocks. Spans that
// decay leave the process: they are cut from blocks of 32 MiB and emptied before their deallocation, because mimalloc
// returns no smaller block of a sleeping thread to the system. Blocks of a direct pool may stay with mimalloc. purge()
// collects the calling thread's heap. name() has the version, as "mimalloc 2.0.9".
upstream mimalloc_upstream() noexcept;

// new and delete by mimalloc, as a memory resource. Thread-safe; never destroyed. allocate() throws std::bad_alloc if
// there is no memory. Registers no heartbeat.
std::pmr::memory_resource* mimalloc_resource() noexcept;

// A mimalloc heap of its own, for one pool. One thread makes, uses and destroys it, as mimalloc before version 3
// requires; allocate() by another thread returns null. Any thread may deallocate blocks and tick the pool.
//
//   tidepool::mimalloc_heap heap;
//   tidepool::pool_resource pool(heap);   // pool.release() and its destructor end in one mi_heap_destroy
class mimalloc_heap {
public:
    mimalloc_heap() noexcept;
    mimalloc_heap(const mimalloc_heap&) = delete;
    mimalloc_heap& operator=(const mimalloc_heap&) = delete;
    // As release().
    ~mimalloc_heap();

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
    // mi_heap_collect. Without effect in other threads than the heap's.
    void purge() noexcept;
    void discard(void* p, std::size_t bytes) noexcept;
    // Frees all blocks at once, including those in use, by mi_heap_destroy. Requires that no block is used afterwards,
    // and that the heap's thread calls. The heap may be used again.
    void release() noexcept;
    std::size_t good_size(std::size_t bytes) const noexcept;
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return "mimalloc heap"; }

private:
    bool mine() const noexcept { return std::this_thread::get_id() == owner_; }

    const std::thread::id owner_ = std::this_thread::get_id();
    mi_heap_s* heap_ = nullptr;  // made by the first allocate()
};

// mimalloc's deferred-free function: its type, the library's, and the one that this calls afterwards (null: none),
// which is to be set before the first use of mimalloc_upstream(). Thread-safe. The library's does nothing if forced, as
// at a thread's exit.
using mimalloc_deferred_free = void(bool force, unsigned long long heartbeat, void* argument);
void mimalloc_heartbeat(bool force, unsigned long long heartbeat, void* argument) noexcept;
void mimalloc_pass_on(mimalloc_deferred_free* next, void* argument) noexcept;

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

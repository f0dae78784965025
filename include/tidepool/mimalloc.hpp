// mimalloc as upstream, as a heap for a single-threaded pool, and as a plain memory resource. Link tidepool::mimalloc.
//
// Linking it does not replace the program's malloc. mimalloc 2.0 and later; tested with 2.0.9.
//
// The heartbeat: mimalloc calls one deferred-free function a process at the slow path of its allocations, about once in
// 4 KiB that a thread allocates. The first mimalloc_upstream() or mimalloc_heap registers ours, and pools age as long
// as the process allocates anything from mimalloc. mimalloc keeps one such function, the last registered, and does not
// tell which was there before. A program that has one of its own hands it to mimalloc_pass_on(), which has ours call
// it; or registers it after ours and calls mimalloc_heartbeat() from it.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <thread>

#include <tidepool/detail/config.hpp>
#include <tidepool/upstream.hpp>

struct mi_heap_s;  // mimalloc's own

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// mimalloc's default heaps. Any thread. Requests up to 1 KiB take mimalloc's small-block entry point. What decays
// leaves the process: spans are cut from blocks of 32 MiB and emptied before they go back, because mimalloc itself
// gives nothing smaller to the system that belongs to a thread that sleeps; blocks of a direct pool may stay with it.
// purge() collects the calling thread's heap. name() tells the version, as "mimalloc 2.0.9".
upstream mimalloc_upstream() noexcept;

// new and delete by mimalloc, as a memory resource. Any thread; never destroyed. allocate() throws std::bad_alloc when
// there is no memory. Registers no heartbeat.
std::pmr::memory_resource* mimalloc_resource() noexcept;

// A mimalloc heap of its own, for one pool that one thread allocates from, made, used and destroyed by that thread: so
// says mimalloc up to version 3. Blocks may be deallocated, and the pool ticked, by any thread; allocate() by another
// thread gives null.
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
    // mi_heap_collect; nothing by another thread than the heap's.
    void purge() noexcept;
    void discard(void* p, std::size_t bytes) noexcept;
    // Frees all blocks of the heap at once, those in use, too: mi_heap_destroy. Needs: no block is used any more, and
    // the heap's thread calls. The heap goes on empty.
    void release() noexcept;
    std::size_t good_size(std::size_t bytes) const noexcept;
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return "mimalloc heap"; }

private:
    bool mine() const noexcept { return std::this_thread::get_id() == owner_; }

    const std::thread::id owner_ = std::this_thread::get_id();
    mi_heap_s* heap_ = nullptr;  // made by the first allocate()
};

// mimalloc's deferred-free function: its type, ours, and the one that ours calls after its own work (null: none). Any
// thread; set the latter before the first use of mimalloc_upstream(). Ours does nothing when forced, as at a thread's
// exit.
using mimalloc_deferred_free = void(bool force, unsigned long long heartbeat, void* argument);
void mimalloc_heartbeat(bool force, unsigned long long heartbeat, void* argument) noexcept;
void mimalloc_pass_on(mimalloc_deferred_free* next, void* argument) noexcept;

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

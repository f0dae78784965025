// The allocator that stands below a pool.
//
// Anything with two noexcept members serves; the rest is optional and is made up from those two where it is missing:
//
//   void* allocate(std::size_t bytes, std::size_t alignment) noexcept;             null when there is no memory
//   void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;   as it was allocated
//   std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
//   void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
//   void purge() noexcept;                                   hand idle memory on to the operating system
//   const char* name() const noexcept;
//
// A pool calls its upstream from any thread that uses or ticks the pool, several at once: it must be thread-safe.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory_resource>
#include <type_traits>

#include <tidepool/detail/config.hpp>

namespace tidepool::inline TIDEPOOL_ABI {

class upstream;

template <class U>
concept upstream_allocator = !std::same_as<std::remove_cv_t<U>, upstream> &&
                             !std::derived_from<std::remove_cv_t<U>, std::pmr::memory_resource> && requires(U& u, void* p, std::size_t n) {
    { u.allocate(n, n) } noexcept -> std::same_as<void*>;
    { u.deallocate(p, n, n) } noexcept;
};

// A reference to an upstream, erased to a few function pointers and a context. A small value: copy it freely. It does
// not own what it refers to, which must outlive every pool above it.
class upstream {
public:
    // Refers to `u`. O(1).
    template <upstream_allocator U>
    upstream(U& u) noexcept;

    // Refers to a memory resource; what its allocate() throws counts as "no memory". Throws std::invalid_argument when
    // null.
    upstream(std::pmr::memory_resource* resource);

    // `alignment` a power of two. Null when there is no memory.
    void* allocate(std::size_t bytes, std::size_t alignment) const noexcept {
        return allocate_(context_, bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) const noexcept {
        deallocate_(context_, p, bytes, alignment);
    }

    // Fills out[0 .. result); result < count when memory ran out.
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) const noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) const noexcept;

    void purge() const noexcept {
        if (purge_) purge_(context_);
    }
    const char* name() const noexcept { return name_; }

    // The memory resource it was made from; null when it was made from something else.
    std::pmr::memory_resource* resource() const noexcept { return resource_; }

private:
    upstream() = default;

    void* context_ = nullptr;
    void* (*allocate_)(void*, std::size_t, std::size_t) noexcept = nullptr;
    void (*deallocate_)(void*, void*, std::size_t, std::size_t) noexcept = nullptr;
    std::size_t (*allocate_batch_)(void*, std::size_t, std::size_t, void**, std::size_t) noexcept = nullptr;
    void (*deallocate_batch_)(void*, std::size_t, std::size_t, void**, std::size_t) noexcept = nullptr;
    void (*purge_)(void*) noexcept = nullptr;
    std::pmr::memory_resource* resource_ = nullptr;
    const char* name_ = "custom";
};

// The C library's aligned_alloc and free.
upstream libc_upstream() noexcept;

// mmap and munmap: what goes back leaves the process at once. For spans and large blocks; a block of its own costs a
// page at least.
upstream pages_upstream() noexcept;

template <upstream_allocator U>
upstream::upstream(U& u) noexcept : context_(&u) {
    allocate_ = [](void* c, std::size_t bytes, std::size_t alignment) noexcept -> void* {
        return static_cast<U*>(c)->allocate(bytes, alignment);
    };
    deallocate_ = [](void* c, void* p, std::size_t bytes, std::size_t alignment) noexcept {
        static_cast<U*>(c)->deallocate(p, bytes, alignment);
    };
    if constexpr (requires(void** out, std::size_t n) {
                      { u.allocate_batch(n, n, out, n) } noexcept -> std::same_as<std::size_t>;
                  })
        allocate_batch_ = [](void* c, std::size_t bytes, std::size_t alignment, void** out,
                             std::size_t count) noexcept -> std::size_t {
            return static_cast<U*>(c)->allocate_batch(bytes, alignment, out, count);
        };
    if constexpr (requires(void** blocks, std::size_t n) {
                      { u.deallocate_batch(n, n, blocks, n) } noexcept;
                  })
        deallocate_batch_ = [](void* c, std::size_t bytes, std::size_t alignment, void** blocks,
                               std::size_t count) noexcept {
            static_cast<U*>(c)->deallocate_batch(bytes, alignment, blocks, count);
        };
    if constexpr (requires {
                      { u.purge() } noexcept;
                  })
        purge_ = [](void* c) noexcept { static_cast<U*>(c)->purge(); };
    if constexpr (requires {
                      { u.name() } noexcept -> std::convertible_to<const char*>;
                  })
        name_ = u.name();
}

}  // namespace tidepool::inline TIDEPOOL_ABI

// The allocator that a pool draws from.
//
// Any class with two noexcept members can be one; the others are optional. Missing batches are made of single calls;
// what else is missing is not used:
//
//   void* allocate(std::size_t bytes, std::size_t alignment) noexcept;
//       Null if there is no memory.
//   void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;
//       Size and alignment as in the allocation.
//   std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
//   void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
//   void purge() noexcept;
//       Returns idle memory to the operating system.
//   void discard(void* p, std::size_t bytes) noexcept;
//       p is deallocated next and not wanted soon: its pages may leave the process.
//   void release() noexcept;
//       Takes everything back at once. Such an upstream serves one pool at a time.
//   std::size_t good_size(std::size_t bytes) const noexcept;
//       The bytes that a block of that size really has.
//   bool heartbeat_safe() const noexcept;
//       See upstream::heartbeat_safe().
//   bool draws_from(const void* other) const noexcept;
//       For decorators: whether `other` is this, or a backing of it.
//   const char* name() const noexcept;
//
// A pool calls its upstream from any thread that uses or ticks the pool, several at once: it must be thread-safe.
// adapters/README.md has a complete example.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory_resource>
#include <type_traits>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

class upstream;

template <class U>
concept upstream_allocator =
    !std::same_as<std::remove_cv_t<U>, upstream> &&
    !std::derived_from<std::remove_cv_t<U>, std::pmr::memory_resource> && requires(U & u, void* p, std::size_t n) {
    { u.allocate(n, n) }
    noexcept->std::same_as<void*>;
    { u.deallocate(p, n, n) }
    noexcept;
};

namespace detail {

// What an upstream offers, as functions of its context; null what it does not.
struct upstream_table {
    void* (*allocate)(void*, std::size_t, std::size_t) noexcept = nullptr;
    void (*deallocate)(void*, void*, std::size_t, std::size_t) noexcept = nullptr;
    std::size_t (*allocate_batch)(void*, std::size_t, std::size_t, void**, std::size_t) noexcept = nullptr;
    void (*deallocate_batch)(void*, std::size_t, std::size_t, void**, std::size_t) noexcept = nullptr;
    void (*purge)(void*) noexcept = nullptr;
    void (*discard)(void*, void*, std::size_t) noexcept = nullptr;
    void (*release)(void*) noexcept = nullptr;
    std::size_t (*good_size)(void*, std::size_t) noexcept = nullptr;
    bool (*heartbeat_safe)(void*) noexcept = nullptr;
    bool (*draws_from)(void*, const void*) noexcept = nullptr;
};

// What an upstream may have beyond batches: ways to hand memory back, and what it says of itself.
template <class U>
constexpr void add_ways_back(upstream_table& does) noexcept {
    if constexpr (requires(U & u) {
                      { u.purge() }
                      noexcept;
                  })
        does.purge = [](void* c) noexcept { static_cast<U*>(c)->purge(); };
    if constexpr (requires(U & u, void* p, std::size_t n) {
                      { u.discard(p, n) }
                      noexcept;
                  })
        does.discard = [](void* c, void* p, std::size_t bytes) noexcept { static_cast<U*>(c)->discard(p, bytes); };
    if constexpr (requires(U & u) {
                      { u.release() }
                      noexcept;
                  })
        does.release = [](void* c) noexcept { static_cast<U*>(c)->release(); };
}
template <class U>
constexpr void add_properties(upstream_table& does) noexcept {
    if constexpr (requires(const U& u, std::size_t n) {
                      { u.good_size(n) }
                      noexcept->std::same_as<std::size_t>;
                  })
        does.good_size = [](void* c, std::size_t bytes) noexcept { return static_cast<const U*>(c)->good_size(bytes); };
    if constexpr (requires(const U& u) {
                      { u.heartbeat_safe() }
                      noexcept->std::same_as<bool>;
                  })
        does.heartbeat_safe = [](void* c) noexcept { return static_cast<const U*>(c)->heartbeat_safe(); };
    if constexpr (requires(const U& u, const void* other) {
                      { u.draws_from(other) }
                      noexcept->std::same_as<bool>;
                  })
        does.draws_from = [](void* c, const void* other) noexcept {
            return static_cast<const U*>(c)->draws_from(other);
        };
}

template <class U>
constexpr upstream_table upstream_table_of() noexcept;

}  // namespace detail

// A reference to an upstream, as a context and a table of functions. Cheap to copy. It does not own what it refers to,
// which must outlive every pool that draws from it.
class upstream {
public:
    // Refers to `u`. O(1).
    template <upstream_allocator U>
    upstream(U& u) noexcept;

    // Refers to a memory resource. What its allocate() throws reaches the pool's caller. Throws
    // std::invalid_argument if null.
    upstream(std::pmr::memory_resource* resource);

    // `alignment` is a power of two. Null if there is no memory.
    void* allocate(std::size_t bytes, std::size_t alignment) const noexcept {
        return does_->allocate(context_, bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) const noexcept {
        does_->deallocate(context_, p, bytes, alignment);
    }

    // Fills out[0 .. result); result < count if there is no more memory.
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) const noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) const noexcept;

    // Returns idle memory to the operating system, if the upstream can. A pool calls it once after each tick that
    // returned something.
    void purge() const noexcept {
        if (does_->purge) does_->purge(context_);
    }

    // To be called before the deallocation of a block that will not be wanted soon: its pages may leave the process,
    // with their content. A pool calls it for spans, not for large blocks, which a program may want again at once.
    void discard(void* p, std::size_t bytes) const noexcept {
        if (does_->discard) does_->discard(context_, p, bytes);
    }

    // Whether release() takes back everything at once. Such an upstream serves one pool at a time.
    bool releases() const noexcept { return does_->release; }
    // Requires releases(), and that no other thread uses the upstream or its blocks.
    void release() const noexcept { does_->release(context_); }

    // The usable bytes of a block of `bytes` bytes; `bytes` if the upstream does not say.
    std::size_t good_size(std::size_t bytes) const noexcept {
        return does_->good_size ? does_->good_size(context_, bytes) : bytes;
    }

    // Whether deallocate() and purge() run no code of the program's and take no lock that the program may hold while it
    // allocates. Then its pools may be ticked in the midst of any allocation, by an upstream's heartbeat; others wait
    // for a slow path, tick() or a ticker. False if the upstream does not say.
    bool heartbeat_safe() const noexcept { return does_->heartbeat_safe && does_->heartbeat_safe(context_); }

    // Whether both refer to the same allocator.
    bool same_as(const upstream& other) const noexcept { return context_ == other.context_ && does_ == other.does_; }

    // Whether this refers to `allocator`, or to a decorator of it.
    bool draws_from(const void* allocator) const noexcept {
        return context_ == allocator || (does_->draws_from && does_->draws_from(context_, allocator));
    }

    const char* name() const noexcept { return name_; }

    // The memory resource that it refers to; null if it refers to something else.
    std::pmr::memory_resource* resource() const noexcept { return resource_; }

private:
    void* context_;
    const detail::upstream_table* does_;
    std::pmr::memory_resource* resource_ = nullptr;
    const char* name_ = "custom";
};

// The C library's aligned_alloc and free.
upstream libc_upstream() noexcept;

// mmap: deallocated memory leaves the process at once. For spans and large blocks; each block takes at least a page.
// Spans are cut from regions, whose address space is unmapped when none of their spans is in use.
upstream pages_upstream() noexcept;

namespace detail {

template <class U>
constexpr upstream_table upstream_table_of() noexcept {
    upstream_table does;
    does.allocate = [](void* c, std::size_t bytes, std::size_t alignment) noexcept -> void* {
        return static_cast<U*>(c)->allocate(bytes, alignment);
    };
    does.deallocate = [](void* c, void* p, std::size_t bytes, std::size_t alignment) noexcept {
        static_cast<U*>(c)->deallocate(p, bytes, alignment);
    };
    if constexpr (requires(U & u, void** out, std::size_t n) {
                      { u.allocate_batch(n, n, out, n) }
                      noexcept->std::same_as<std::size_t>;
                  })
        does.allocate_batch = [](void* c, std::size_t bytes, std::size_t alignment, void** out,
                                 std::size_t count) noexcept -> std::size_t {
            return static_cast<U*>(c)->allocate_batch(bytes, alignment, out, count);
        };
    if constexpr (requires(U & u, void** blocks, std::size_t n) {
                      { u.deallocate_batch(n, n, blocks, n) }
                      noexcept;
                  })
        does.deallocate_batch = [](void* c, std::size_t bytes, std::size_t alignment, void** blocks,
                                   std::size_t count) noexcept {
            static_cast<U*>(c)->deallocate_batch(bytes, alignment, blocks, count);
        };
    add_ways_back<U>(does);
    add_properties<U>(does);
    return does;
}

template <class U>
inline constexpr upstream_table upstream_table_for = upstream_table_of<U>();

}  // namespace detail

template <upstream_allocator U>
upstream::upstream(U& u) noexcept : context_(&u), does_(&detail::upstream_table_for<U>) {
    if constexpr (requires {
                      { u.name() }
                      noexcept->std::convertible_to<const char*>;
                  })
        name_ = u.name();
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

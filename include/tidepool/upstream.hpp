// The allocator that stands below a pool.
//
// Anything with two noexcept members serves; the rest is optional. The batches are made up from those two where they
// are missing, and what else is missing is done without:
//
//   void* allocate(std::size_t bytes, std::size_t alignment) noexcept;             null when there is no memory
//   void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept;   as it was allocated
//   std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) noexcept;
//   void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept;
//   void purge() noexcept;                                   hand idle memory on to the operating system
//   void discard(void* p, std::size_t bytes) noexcept;       p goes back next and is not wanted soon: its pages may
//   leave void release() noexcept;                                 everything back at once; such an upstream serves one
//   pool std::size_t good_size(std::size_t bytes) const noexcept; bytes that a block of that size has in truth bool
//   leaf() const noexcept;                              see upstream::leaf() bool stands_on(const void* other) const
//   noexcept;        for adaptors: whether `other` is this or stands below it const char* name() const noexcept;
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

// What an upstream can do, as functions of its context; null where it cannot.
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

// A reference to an upstream, erased to a table of functions and a context. A small value: copy it freely. It does not
// own what it refers to, which must outlive every pool above it.
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
        return does_->allocate(context_, bytes, alignment);
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) const noexcept {
        does_->deallocate(context_, p, bytes, alignment);
    }

    // Fills out[0 .. result); result < count when memory ran out.
    std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out, std::size_t count) const noexcept;
    void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) const noexcept;

    // Idle memory goes on to the operating system, as far as the upstream can. A pool asks for it once after each tick
    // that handed something down.
    void purge() const noexcept {
        if (does_->purge) does_->purge(context_);
    }

    // The caller is about to deallocate p, which nobody wants soon: its pages may leave the process at once. What is in
    // them is lost. A pool says so of spans, not of large blocks, which a program may want again at once.
    void discard(void* p, std::size_t bytes) const noexcept {
        if (does_->discard) does_->discard(context_, p, bytes);
    }

    // Whether release() takes back everything that was allocated, at once. Such an upstream serves one pool at a time.
    bool releases() const noexcept { return does_->release; }
    // Needs releases(). Nobody else may be using the upstream or its blocks.
    void release() const noexcept { does_->release(context_); }

    // Bytes that may be used of a block of `bytes` bytes; `bytes` where the upstream does not tell.
    std::size_t good_size(std::size_t bytes) const noexcept {
        return does_->good_size ? does_->good_size(context_, bytes) : bytes;
    }

    // Whether deallocate() and purge() run no code of the program's and take no lock that the program may hold while it
    // allocates. A pool over a leaf may be ticked in the midst of anybody's allocation, from an upstream's heartbeat;
    // others wait for a slow path, tick() or a ticker. False where the upstream does not tell.
    bool heartbeat_safe() const noexcept { return does_->heartbeat_safe && does_->heartbeat_safe(context_); }

    // Whether this refers to `allocator`, or to an adaptor over it.
    bool draws_from(const void* allocator) const noexcept {
        return context_ == allocator || (does_->draws_from && does_->draws_from(context_, allocator));
    }

    const char* name() const noexcept { return name_; }

    // The memory resource it was made from; null when it was made from something else.
    std::pmr::memory_resource* resource() const noexcept { return resource_; }

private:
    void* context_;
    const detail::upstream_table* does_;
    std::pmr::memory_resource* resource_ = nullptr;
    const char* name_ = "custom";
};

// The C library's aligned_alloc and free.
upstream libc_upstream() noexcept;

// mmap and munmap: what goes back leaves the process at once. For spans and large blocks; a block of its own costs a
// page at least.
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

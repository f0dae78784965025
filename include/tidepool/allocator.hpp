// Allocators for the custom allocator parameter of containers and of std::allocate_shared.
//
//   allocator<T>       stateless; uses the process-wide default pool
//   pool_allocator<T>  refers to the pool_resource that it was constructed from
//
// Both meet the allocator requirements of the standard. The size class of a constant size is found at compile time, and
// a private hit is inlined: it makes no virtual call, takes no lock and executes no locked instruction. allocate()
// throws std::bad_alloc if memory is out and std::bad_array_new_length if n * sizeof(T) overflows. Any thread may
// deallocate memory that another thread allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/detail/raise.hpp>
#include <tidepool/detail/size_classes.hpp>
#include <tidepool/pool_resource.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace detail {

template <class T>
constexpr std::size_t array_bytes(std::size_t n) {
    if (n > std::numeric_limits<std::size_t>::max() / sizeof(T)) raise_bad_length();
    return n * sizeof(T);
}

}  // namespace detail

template <class T>
class allocator {
public:
    using value_type = T;
    using propagate_on_container_move_assignment = std::true_type;
    using is_always_equal = std::true_type;

    constexpr allocator() noexcept = default;
    template <class U>
    constexpr allocator(const allocator<U>&) noexcept {}

    [[nodiscard]] T* allocate(std::size_t n) {
        const std::size_t bytes = detail::array_bytes<T>(n);
        const std::uint32_t size_class = detail::size_class_of(bytes, alignof(T));
        const auto missed = [&] { return detail::default_allocate(size_class, bytes, alignof(T)); };
        if (size_class == detail::no_size_class) [[unlikely]]
            return static_cast<T*>(missed());
        return static_cast<T*>(detail::take_or(detail::default_index, detail::bin_offset_of(size_class), missed));
    }

    // Does nothing if p is null.
    void deallocate(T* p, std::size_t n) noexcept {
        if (!p) [[unlikely]]
            return;
        const std::size_t bytes = n * sizeof(T);
        const std::uint32_t size_class = detail::size_class_of(bytes, alignof(T));
        const auto missed = [&] { detail::default_deallocate(p, size_class, bytes, alignof(T)); };
        if (size_class == detail::no_size_class) [[unlikely]]
            return missed();
        detail::give_or(detail::default_index, detail::bin_offset_of(size_class), p, missed);
    }
};

template <class T, class U>
constexpr bool operator==(const allocator<T>&, const allocator<U>&) noexcept {
    return true;
}

template <class T>
class pool_allocator {
public:
    using value_type = T;
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    // Refers to the default pool. Throws std::bad_alloc if memory is out for that at its first use.
    pool_allocator() : pool_(&default_pool()) {}
    // Refers to `pool`, which must outlive all memory allocated from it; a pointer must not be null.
    pool_allocator(pool_resource& pool) noexcept : pool_(&pool) {}
    pool_allocator(pool_resource* pool) noexcept : pool_(pool) {}
    template <class U>
    pool_allocator(const pool_allocator<U>& other) noexcept : pool_(&other.resource()) {}

    [[nodiscard]] T* allocate(std::size_t n) {
        const std::size_t bytes = detail::array_bytes<T>(n);
        const std::uint32_t size_class = detail::size_class_of(bytes, alignof(T));
        return static_cast<T*>(pool_->allocate_class(size_class, bytes, alignof(T)));
    }

    // Does nothing if p is null.
    void deallocate(T* p, std::size_t n) noexcept {
        if (!p) [[unlikely]]
            return;
        const std::size_t bytes = n * sizeof(T);
        const std::uint32_t size_class = detail::size_class_of(bytes, alignof(T));
        pool_->deallocate_class(p, size_class, bytes, alignof(T));
    }

    pool_resource& resource() const noexcept { return *pool_; }

private:
    pool_resource* pool_;
};

// For what rebinds it: pool_allocator(pool).
pool_allocator()->pool_allocator<std::byte>;
pool_allocator(pool_resource&)->pool_allocator<std::byte>;
pool_allocator(pool_resource*)->pool_allocator<std::byte>;

template <class T, class U>
bool operator==(const pool_allocator<T>& a, const pool_allocator<U>& b) noexcept {
    return &a.resource() == &b.resource();
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

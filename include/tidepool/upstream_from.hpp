// Upstreams made from a standard allocator or from C functions. A memory resource needs only its address
// (upstream.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/raise.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Any standard allocator as upstream. As thread-safe as the allocator is; each call uses a copy of it. What its
// allocate() throws reaches the pool's caller. Alignments up to 2 MiB, if the allocator supports over-aligned types;
// null above.
//
//   tidepool::allocator_upstream from(my_allocator);
//   tidepool::pool_resource pool(from);
template <class Allocator>
class allocator_upstream {
public:
    allocator_upstream() = default;
    explicit allocator_upstream(const Allocator& from) noexcept : from_(from) {}

    void* allocate(std::size_t bytes, std::size_t alignment) const noexcept {
        const std::size_t i = place(alignment);
        return i < aligned_calls.size() ? aligned_calls[i].allocate(from_, bytes) : nullptr;
    }
    void deallocate(void* p, std::size_t bytes, std::size_t alignment) const noexcept {
        aligned_calls[place(alignment)].deallocate(from_, p, bytes);
    }
    static const char* name() noexcept { return "standard allocator"; }

private:
    // An allocator's alignment is its type's, so each alignment has a type, of which it allocates arrays.
    template <std::size_t Alignment>
    struct alignas(Alignment) piece {
        std::byte of[Alignment];
    };

    static constexpr std::size_t pieces(std::size_t bytes, std::size_t alignment) noexcept {
        return bytes / alignment + (bytes % alignment || bytes == 0);
    }

    struct calls {
        void* (*allocate)(const Allocator&, std::size_t bytes) noexcept;
        void (*deallocate)(const Allocator&, void* p, std::size_t bytes) noexcept;
    };

    template <std::size_t Alignment>
    static constexpr calls calls_of() noexcept {
        using type = piece<Alignment>;
        using allocator = typename std::allocator_traits<Allocator>::template rebind_alloc<type>;
        using traits = std::allocator_traits<allocator>;
        return {[](const Allocator& from, std::size_t bytes) noexcept -> void* {
                    TIDEPOOL_TRY {
                        allocator mine(from);
                        return std::to_address(traits::allocate(mine, pieces(bytes, Alignment)));
                    }
                    TIDEPOOL_CATCH_ALL {
                        detail::keep_thrown();
                        return nullptr;
                    }
                },
                [](const Allocator& from, void* p, std::size_t bytes) noexcept {
                    using pointer = typename traits::pointer;
                    allocator mine(from);
                    traits::deallocate(mine, std::pointer_traits<pointer>::pointer_to(*static_cast<type*>(p)),
                                       pieces(bytes, Alignment));
                }};
    }

    static constexpr std::size_t alignment_first = alignof(std::max_align_t);
    static constexpr std::size_t place(std::size_t alignment) noexcept {
        const std::size_t at_least = std::max(alignment, alignment_first);
        return static_cast<std::size_t>(std::countr_zero(at_least) - std::countr_zero(alignment_first));
    }

    template <std::size_t... I>
    static constexpr auto all_calls(std::index_sequence<I...>) noexcept {
        return std::array<calls, sizeof...(I)>{calls_of<(alignment_first << I)>()...};
    }
    // 16 B to 2 MiB.
    static constexpr auto aligned_calls = all_calls(std::make_index_sequence<18>());

    [[no_unique_address]] Allocator from_{};
};

// Four C functions as upstream, with the signatures of the C library's. As thread-safe as the functions are.
//
//   tidepool::c_upstream from{my_malloc, my_free, my_aligned_alloc};
struct c_upstream {
    void* (*allocate_plain)(std::size_t bytes);                           // aligned to 16; null if there is no memory
    void (*deallocate_any)(void* p);                                      // from either of the other two
    void* (*allocate_aligned)(std::size_t alignment, std::size_t bytes);  // bytes is a multiple of the alignment
    void (*purge_all)() = nullptr;                                        // may be null

    void* allocate(std::size_t bytes, std::size_t alignment) const noexcept {
        if (alignment <= alignof(std::max_align_t)) return allocate_plain(std::max(bytes, alignment));
        const std::size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
        return rounded < bytes ? nullptr : allocate_aligned(alignment, std::max(rounded, alignment));
    }
    void deallocate(void* p, std::size_t, std::size_t) const noexcept { deallocate_any(p); }
    void purge() const noexcept {
        if (purge_all) purge_all();
    }
    static const char* name() noexcept { return "C functions"; }
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

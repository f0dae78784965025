// The operating system as span_regions' allocator: every block is pages of its own, which deallocate() unmaps. Any
// thread.
#pragma once

#include <cstddef>

#include "base/pages.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

struct mapped_pages {
    static constexpr bool maps_pages = true;

    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return map_pages(bytes ? bytes : 1, alignment);
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t) noexcept { unmap_pages(p, bytes ? bytes : 1); }
    static void purge() noexcept {}
    static const char* name() noexcept { return "pages"; }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

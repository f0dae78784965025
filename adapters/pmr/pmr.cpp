// Any std::pmr::memory_resource as upstream. As thread-safe as the resource is.
#include <cstddef>
#include <memory_resource>
#include <stdexcept>

#include "base/raise.hpp"

#include <tidepool/detail/raise.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

constexpr detail::upstream_table of_a_resource = [] {
    detail::upstream_table does;
    does.allocate = [](void* context, std::size_t bytes, std::size_t alignment) noexcept -> void* {
        TIDEPOOL_TRY { return static_cast<std::pmr::memory_resource*>(context)->allocate(bytes, alignment); }
        TIDEPOOL_CATCH_ALL {
            detail::keep_thrown();
            return nullptr;
        }
    };
    does.deallocate = [](void* context, void* p, std::size_t bytes, std::size_t alignment) noexcept {
        static_cast<std::pmr::memory_resource*>(context)->deallocate(p, bytes, alignment);
    };
    return does;
}();

}  // namespace

upstream::upstream(std::pmr::memory_resource* resource)
    : context_(resource), does_(&of_a_resource), resource_(resource), name_("pmr") {
    if (!resource) detail::raise(std::invalid_argument("tidepool: upstream = null: allowed is a memory resource"));
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Any std::pmr::memory_resource as upstream. As thread-safe as the resource is.
#include <cstddef>
#include <memory_resource>
#include <stdexcept>

#include <tidepool/upstream.hpp>

namespace tidepool::inline TIDEPOOL_ABI {

upstream::upstream(std::pmr::memory_resource* resource) : context_(resource), resource_(resource), name_("pmr") {
    if (!resource) throw std::invalid_argument("tidepool: upstream = null: allowed is a memory resource");
    allocate_ = [](void* context, std::size_t bytes, std::size_t alignment) noexcept -> void* {
        try {
            return static_cast<std::pmr::memory_resource*>(context)->allocate(bytes, alignment);
        } catch (...) {
            return nullptr;
        }
    };
    deallocate_ = [](void* context, void* p, std::size_t bytes, std::size_t alignment) noexcept {
        static_cast<std::pmr::memory_resource*>(context)->deallocate(p, bytes, alignment);
    };
}

}  // namespace tidepool::inline TIDEPOOL_ABI

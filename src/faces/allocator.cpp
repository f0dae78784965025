#include <tidepool/allocator.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

void* default_allocate(std::uint32_t size_class, std::size_t bytes, std::size_t alignment) {
    return default_pool().allocate_class(size_class, bytes, alignment);
}

void default_deallocate(std::uint32_t size_class, void* p, std::size_t bytes, std::size_t alignment) noexcept {
    default_pool().deallocate_class(size_class, p, bytes, alignment);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

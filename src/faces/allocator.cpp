#include <tidepool/allocator.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

void* default_allocate(std::uint32_t size_class, std::size_t bytes, std::size_t alignment) {
    return default_pool().allocate_missed(size_class, bytes, alignment);
}

void default_deallocate(void* p, std::uint32_t size_class, std::size_t bytes, std::size_t alignment) noexcept {
    default_pool().deallocate_missed(p, size_class, bytes, alignment);
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

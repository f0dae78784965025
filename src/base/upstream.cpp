#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

std::size_t upstream::allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                     std::size_t count) const noexcept {
    if (does_->allocate_batch) return does_->allocate_batch(context_, bytes, alignment, out, count);
    for (std::size_t i = 0; i < count; ++i)
        if (!(out[i] = allocate(bytes, alignment))) return i;
    return count;
}

void upstream::deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks,
                                std::size_t count) const noexcept {
    if (does_->deallocate_batch) return does_->deallocate_batch(context_, bytes, alignment, blocks, count);
    for (std::size_t i = 0; i < count; ++i) deallocate(blocks[i], bytes, alignment);
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

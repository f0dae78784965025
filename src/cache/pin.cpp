#include "cache/pin.hpp"

#include "base/fatal.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

void pin::check(bool still) noexcept {
    std::uint64_t bytes = 0;
    for (std::uint32_t c = 0; c < local_->shared_.sizes.count; ++c) bytes += of(c).check(still);
    if (bytes != local_->private_bytes_)
        fatal("local %u has private magazines for %llu bytes and counts %llu", local_->number,
              static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(local_->private_bytes_));
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

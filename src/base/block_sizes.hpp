// The block size of each size class: those of size_classes.hpp, or one size for a pool that has only one.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

struct block_sizes {
    std::uint32_t count;
    std::size_t only = 0;  // bytes; 0 where the table's sizes hold

    std::size_t operator[](std::uint32_t size_class) const noexcept {
        return only ? only : size_class_bytes(size_class);
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// jemalloc's mallctl, with the name's path looked up once.
#pragma once

#include <cstddef>

#include "names.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {
namespace jemalloc {

// The path of a name. Calls fail if this jemalloc does not know it.
class mallctl_path {
public:
    explicit mallctl_path(const char* name) noexcept {
        if (tidepool_je_mallctlnametomib(name, mib_, &length_) != 0) length_ = 0;
    }

    bool call(void* old_value = nullptr, std::size_t* old_bytes = nullptr, void* new_value = nullptr,
              std::size_t new_bytes = 0) const noexcept {
        return length_ != 0 && tidepool_je_mallctlbymib(mib_, length_, old_value, old_bytes, new_value, new_bytes) == 0;
    }
    // Of an arena, in a path that begins "arena.0.".
    bool call_for(unsigned arena, void* new_value = nullptr, std::size_t new_bytes = 0) const noexcept {
        mallctl_path its = *this;
        its.mib_[1] = arena;
        return its.call(nullptr, nullptr, new_value, new_bytes);
    }

private:
    std::size_t mib_[8];
    std::size_t length_ = 8;
};

}  // namespace jemalloc
}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

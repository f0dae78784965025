// The source without spans: every block an upstream allocation of its own. Any thread; holds nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/poison.hpp"
#include "source/metered_upstream.hpp"
#include "source/source.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class direct final : public source {
public:
    direct(block_sizes sizes, metered_upstream& from) noexcept : sizes_(sizes), upstream_(from) {}

    std::size_t refill(std::uint32_t size_class, void** blocks, std::size_t count, growth) noexcept override {
        const std::size_t bytes = sizes_[size_class];
        const std::size_t got = upstream_.allocate_batch(bytes, alignment_of(bytes), blocks, count);
        for (std::size_t i = 0; i < got; ++i) poison(blocks[i], bytes);
        return got;
    }

    void drain(std::uint32_t size_class, void** blocks, std::size_t count, bool) noexcept override {
        const std::size_t bytes = sizes_[size_class];
        for (std::size_t i = 0; i < count; ++i) unpoison(blocks[i], bytes);
        upstream_.deallocate_batch(bytes, alignment_of(bytes), blocks, count);
    }

    bool release_all() noexcept override {
        if (!upstream_.releases()) return false;
        upstream_.release_all();
        return true;
    }

private:
    // What a block of this size is aligned to in a span (size_classes.hpp, invariant 3): the same requests are served.
    static std::size_t alignment_of(std::size_t bytes) noexcept {
        return std::min(bytes & -bytes, pooled_alignment_max);
    }

    const block_sizes sizes_;
    metered_upstream& upstream_;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// What a pool is made from. The values are checked already (src/faces/options.cpp).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/block_sizes.hpp"
#include "base/limits.hpp"
#include "cache/depot.hpp"
#include "source/spans.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/pin_slot.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

enum class source_kind { spans, direct, objects };

struct pool_plan {
    block_sizes sizes;
    cache_limits limits;
    std::chrono::nanoseconds decay_interval;
    source_kind source = source_kind::spans;
    std::uint32_t index_wanted = no_index;
    std::size_t idle_bytes_max = limits::idle_bytes_default;  // of idle spans; none where nothing would age them
    foreign_handler foreign = nullptr;                        // with spans
    bool watches_contents = false;                            // with spans, in a hardened build
    object_disposer disposer{};                               // with objects
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

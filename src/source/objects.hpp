// The source of an object pool: objects end here, none begins. New ones are the face's to make, outside the engine,
// where a factory may throw.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/poison.hpp"
#include "source/source.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/engine.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class objects final : public source {
public:
    objects(std::size_t object_bytes, object_disposer disposer) noexcept : bytes_(object_bytes), disposer_(disposer) {}

    std::size_t refill(std::uint32_t, void**, std::size_t, growth) noexcept override { return 0; }

    bool makes_blocks() const noexcept override { return false; }
    // Objects end by the program's own code.
    bool heartbeat_safe() const noexcept override { return false; }

    void drain(std::uint32_t, void** blocks, std::size_t count, bool) noexcept override {
        for (std::size_t i = 0; i < count; ++i) unpoison(blocks[i], bytes_);
        disposer_.dispose(disposer_.context, blocks, count);
    }

private:
    const std::size_t bytes_;
    const object_disposer disposer_;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

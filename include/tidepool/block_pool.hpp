// Blocks of one size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/options.hpp>
#include <tidepool/stats.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Untyped blocks of one size, from any number of threads; a block may be freed by another thread than took it. O(1)
// amortized; a private hit is inlined and takes no lock and no locked instruction.
//
// All members may be called by any thread at any time, but for release() and the destructor, which need the pool to
// themselves.
class block_pool {
public:
    // Blocks of at least block_bytes bytes (1 to 1 MiB), aligned to `alignment` (a power of two up to 4096). Throws
    // std::invalid_argument for what cannot be met. max_blocks_per_chunk, magazine_bytes_max, local_bytes_max,
    // decay_interval and source are used of the options.
    explicit block_pool(std::size_t block_bytes, std::size_t alignment = alignof(std::max_align_t),
                        const pool_options& options = {}, tidepool::upstream from = pages_upstream());

    block_pool(const block_pool&) = delete;
    block_pool& operator=(const block_pool&) = delete;
    ~block_pool();

    // Throws std::bad_alloc when the upstream has no memory.
    [[nodiscard]] void* allocate() {
        void* block = try_allocate();
        if (!block) [[unlikely]]
            throw std::bad_alloc();
        return block;
    }

    // Null when the upstream has no memory.
    [[nodiscard]] void* try_allocate() noexcept { return detail::allocate(*engine_, index_, 0); }

    // Ignores null.
    void deallocate(void* block) noexcept {
        if (block) [[likely]]
            detail::deallocate(*engine_, index_, block, 0);
    }

    // As the members of pool_resource.
    void release() noexcept;
    std::size_t trim(std::size_t keep_bytes = 0) noexcept;
    void tick() noexcept;
    tidepool::stats stats() const noexcept;
    pool_options options() const noexcept { return options_; }
    const tidepool::upstream& upstream() const noexcept { return upstream_; }

    // Size of a block in bytes: block_bytes rounded up to a multiple of 16 and of the alignment.
    std::size_t block_bytes() const noexcept { return block_bytes_; }

private:
    std::size_t block_bytes_;
    pool_options options_;
    tidepool::upstream upstream_;
    detail::pool_ptr engine_;
    std::uint32_t index_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

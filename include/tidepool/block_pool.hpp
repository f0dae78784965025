// A pool of untyped blocks of one size.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/options.hpp>
#include <tidepool/stats.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// Untyped blocks of one size for any number of threads. A block may be deallocated by another thread than the one that
// allocated it. Amortized constant time; a private hit is inlined, takes no lock and executes no locked instruction.
//
// All members are thread-safe except release() and the destructor, which need exclusive access.
class block_pool {
public:
    // Blocks of at least block_bytes bytes (1 to 1 MiB), aligned to `alignment` (a power of two up to 4096). Of the
    // options, largest_required_pool_block is ignored. Throws std::invalid_argument if an argument or an option is out
    // of range.
    explicit block_pool(std::size_t block_bytes, std::size_t alignment = alignof(std::max_align_t),
                        const pool_options& options = {}, tidepool::upstream from = pages_upstream());

    block_pool(const block_pool&) = delete;
    block_pool& operator=(const block_pool&) = delete;
    ~block_pool();

    // Returns a block. If the upstream has no memory, which is asked once more then: throws std::bad_alloc, or what the
    // upstream threw.
    [[nodiscard]] void* allocate() {
        void* block = try_allocate();
        if (!block) [[unlikely]]
            block = allocate_again();
        return block;
    }

    // Returns a block, or null if the upstream has no memory.
    [[nodiscard]] void* try_allocate() noexcept { return detail::allocate(*engine_, index_, 0); }

    // Takes back a block of this pool. Does nothing if `block` is null.
    void deallocate(void* block) noexcept {
        if (block) [[likely]]
            detail::deallocate(*engine_, index_, block, 0);
    }

    // The same as the members of pool_resource.
    void release() noexcept;
    std::size_t trim(std::size_t keep_bytes = 0) noexcept;
    void tick() noexcept;
    tidepool::stats stats() const noexcept;
    pool_options options() const noexcept { return options_; }
    const tidepool::upstream& upstream() const noexcept { return upstream_; }

    // The size of a block in bytes: block_bytes rounded up to a multiple of 16 and of the alignment.
    std::size_t block_bytes() const noexcept { return block_bytes_; }

private:
    [[nodiscard, gnu::noinline, gnu::cold]] void* allocate_again();

    std::size_t block_bytes_;
    pool_options options_;
    tidepool::upstream upstream_;
    detail::pool_ptr engine_;
    std::uint32_t index_;
};

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

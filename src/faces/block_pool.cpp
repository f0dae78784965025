#include <tidepool/block_pool.hpp>

#include <tidepool/detail/raise.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

block_pool::block_pool(std::size_t block_bytes, std::size_t alignment, const pool_options& options,
                       tidepool::upstream from)
    : block_bytes_(block_bytes),
      options_(options),
      upstream_(from),
      engine_(detail::make_block_pool(block_bytes_, alignment, options_, upstream_)),
      index_(detail::pool_index(*engine_)) {}

block_pool::~block_pool() = default;

void* block_pool::allocate_again() {
    const detail::keeping_thrown here;
    void* block = try_allocate();
    if (!block) detail::raise_no_memory();
    return block;
}

void block_pool::release() noexcept { detail::release(*engine_); }
std::size_t block_pool::trim(std::size_t keep_bytes) noexcept { return detail::trim(*engine_, keep_bytes); }
void block_pool::tick() noexcept { detail::tick(*engine_); }
tidepool::stats block_pool::stats() const noexcept { return detail::snapshot(*engine_); }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

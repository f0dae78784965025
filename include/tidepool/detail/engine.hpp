// What the faces need of the engine (src/pool.cpp), with the engine itself left out of sight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <tidepool/detail/config.hpp>
#include <tidepool/options.hpp>
#include <tidepool/stats.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

class pool;

struct pool_deleter {
    void operator()(pool* engine) const noexcept;
};
using pool_ptr = std::unique_ptr<pool, pool_deleter>;

// What an object pool hands over in place of an upstream: the end of `count` objects.
struct object_disposer {
    void* context;
    void (*dispose)(void* context, void** objects, std::size_t count) noexcept;
};

// Each checks its options, writes the values in effect back into them, and throws std::invalid_argument for what cannot
// be met, std::bad_alloc when there is no memory. None asks the upstream for anything.
pool_ptr make_pool(pool_options& options, const upstream& from);
pool_ptr make_block_pool(std::size_t& block_bytes, std::size_t alignment, pool_options& options, const upstream& from);
pool_ptr make_default_pool(pool_options& options, const upstream& from);
pool_ptr make_object_pool(std::size_t object_bytes, object_pool_options& options, object_disposer disposer);

// While one is there, no other thread makes the default pool and no fork takes place.
class making_default_pool {
public:
    making_default_pool();  // throws std::bad_alloc
    ~making_default_pool();
    making_default_pool(const making_default_pool&) = delete;
    making_default_pool& operator=(const making_default_pool&) = delete;
};

std::uint32_t pool_index(const pool& engine) noexcept;
std::uint32_t pool_class_count(const pool& engine) noexcept;

// Any thread, at any time in the pool's life.
void tick(pool& engine) noexcept;
std::size_t trim(pool& engine, std::size_t keep_bytes) noexcept;
tidepool::stats snapshot(pool& engine) noexcept;

// Every block and every large block back to the upstream. No other thread may be using the pool or its blocks.
void release(pool& engine) noexcept;

// A request that no size class serves. Null when there is no memory.
void* allocate_large(pool& engine, std::size_t bytes, std::size_t alignment) noexcept;
void deallocate_large(pool& engine, void* p, std::size_t bytes, std::size_t alignment) noexcept;

// `object` was made outside the engine and may be put into it from now on.
void note_created(pool& engine, void* object) noexcept;
// `object` ended outside the engine.
void note_destroyed(pool& engine, void* object) noexcept;

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

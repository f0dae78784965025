#include <tidepool/pool_resource.hpp>

#include <atomic>
#include <cstddef>
#include <limits>
#include <new>

#include <tidepool/detail/fast_path.hpp>
#include <tidepool/detail/raise.hpp>
#include <tidepool/detail/size_classes.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

// No object is larger, and the upstreams' arithmetic stays clear of overflow.
constexpr auto bytes_max = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

}  // namespace

namespace detail {

void* resource_over::do_allocate(std::size_t bytes, std::size_t alignment) {
    const keeping_thrown here;
    void* p = bytes <= bytes_max ? it.allocate(bytes == 0 ? 1 : bytes, alignment) : nullptr;
    if (!p) raise_no_memory();
    return p;
}

void resource_over::do_deallocate(void* p, std::size_t bytes, std::size_t alignment) {
    if (p) it.deallocate(p, bytes == 0 ? 1 : bytes, alignment);
}

bool resource_over::do_is_equal(const std::pmr::memory_resource& other) const noexcept {
    const auto* its = dynamic_cast<const resource_over*>(&other);
    return its && (its == this || its->it.same_as(it));
}

}  // namespace detail

pool_resource::pool_resource() : pool_resource(pool_options{}) {}
pool_resource::pool_resource(tidepool::upstream from) : pool_resource(pool_options{}, from) {}
pool_resource::pool_resource(const pool_options& options) : pool_resource(options, pages_upstream()) {}
pool_resource::pool_resource(const pool_options& options, tidepool::upstream from)
    : pool_resource(options, from, detail::make_pool) {}

pool_resource::pool_resource(const pool_options& options, tidepool::upstream from, maker make)
    : options_(options),
      from_(from),
      engine_(make(options_, from_.it)),
      index_(detail::pool_index(*engine_)),
      class_count_(detail::pool_class_count(*engine_)) {}

pool_resource::~pool_resource() = default;

void pool_resource::release() noexcept { detail::release(*engine_); }
std::size_t pool_resource::trim(std::size_t keep_bytes) noexcept { return detail::trim(*engine_, keep_bytes); }
void pool_resource::tick() noexcept { detail::tick(*engine_); }
tidepool::stats pool_resource::stats() const noexcept { return detail::snapshot(*engine_); }

void* pool_resource::do_allocate(std::size_t bytes, std::size_t alignment) {
    if (alignment > detail::granule || bytes > detail::pooled_bytes_max) [[unlikely]]
        return allocate_uncommon(bytes, alignment);
    const std::size_t at = detail::bin_offset_looked_up(bytes);
    return detail::take_or(index_, at, [&] { return allocate_missed(detail::size_class_at(at), bytes, alignment); });
}

void pool_resource::do_deallocate(void* p, std::size_t bytes, std::size_t alignment) {
    if (!p) [[unlikely]]
        return;
    if (alignment > detail::granule || bytes > detail::pooled_bytes_max) [[unlikely]]
        return deallocate_uncommon(p, bytes, alignment);
    const std::size_t at = detail::bin_offset_looked_up(bytes);
    detail::give_or(index_, at, p, [&] { deallocate_missed(p, detail::size_class_at(at), bytes, alignment); });
}

void* pool_resource::allocate_uncommon(std::size_t bytes, std::size_t alignment) {
    return allocate_class(detail::size_class_of(bytes, alignment), bytes, alignment);
}

void pool_resource::deallocate_uncommon(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    deallocate_class(p, detail::size_class_of(bytes, alignment), bytes, alignment);
}

void* pool_resource::allocate_missed(std::size_t size_class, std::size_t bytes, std::size_t alignment) {
    const detail::keeping_thrown here;
    void* p = nullptr;
    if (size_class < class_count_) [[likely]]
        p = detail::allocate_slow(*engine_, static_cast<std::uint32_t>(size_class));
    else if (bytes <= bytes_max)
        p = detail::allocate_large(*engine_, bytes, alignment);
    if (!p) [[unlikely]]
        detail::raise_no_memory();
    return p;
}

void pool_resource::deallocate_missed(void* p, std::size_t size_class, std::size_t bytes,
                                      std::size_t alignment) noexcept {
    if (size_class < class_count_) [[likely]]
        detail::deallocate_slow(*engine_, p, static_cast<std::uint32_t>(size_class));
    else
        detail::deallocate_large(*engine_, p, bytes, alignment);
}

pool_resource& default_pool() {
    alignas(pool_resource) static constinit std::byte place[sizeof(pool_resource)]{};
    static constinit std::atomic<pool_resource*> only{nullptr};
    if (pool_resource* made = only.load(std::memory_order_acquire)) [[likely]]  // partner: the store below
        return *made;
    const detail::making_default_pool alone;
    if (!only.load(std::memory_order_relaxed))  // relaxed: stored by whoever was here before us
        only.store(::new (place) pool_resource(pool_options{}, pages_upstream(), detail::make_default_pool),
                   std::memory_order_release);
    return *only.load(std::memory_order_relaxed);
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

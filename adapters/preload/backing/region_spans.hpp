// Spans for the shim out of another allocator's large blocks, for the reasons that src/span_regions.hpp gives. Any
// thread.
#pragma once

#include <cstddef>

#include "base/pages.hpp"
#include "source/span_regions.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

// Below: as for span_regions, and static members `purge()`, which hands idle memory on, and `name()`.
template <class Below>
class region_spans {
public:
    void* allocate(std::size_t bytes, std::size_t) noexcept { return regions_.allocate(bytes); }
    void deallocate(void* p, std::size_t bytes, std::size_t) noexcept { regions_.deallocate(p, bytes); }
    void discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }
    void purge() noexcept {
        regions_.purge();
        Below::purge();
    }
    bool heartbeat_safe() const noexcept { return true; }
    const char* name() const noexcept { return Below::name(); }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { regions_.before_fork(); }
    void after_fork() noexcept { regions_.after_fork(); }

private:
    detail::span_regions<Below> regions_;
};

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Pages for spans, mapped many spans at a time: one call to the operating system for a dozen spans, and alignment for
// free. What goes back is unmapped at once. Any thread.
//
// Address space is all that a region costs before its spans are handed out.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/spin_lock.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

class mapped_regions {
public:
    // Null when there is no memory. `alignment` as for spans: 64 KiB at most.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const detail::lock_guard hold(lock_);  // over mmap, too: who waits here would map a region as well
        if (bytes > left_ && !map(bytes, alignment)) return detail::map_pages(bytes, alignment);
        left_ -= bytes;
        return next_ + left_;
    }
    void deallocate(void* p, std::size_t bytes, std::size_t) noexcept { detail::unmap_pages(p, bytes); }
    const char* name() const noexcept { return "pages"; }

    // Around a fork, by the forking thread.
    void before_fork() noexcept { lock_.lock_for_fork(); }
    void after_fork() noexcept { lock_.unlock_after_fork(); }

private:
    static constexpr std::size_t first_bytes = std::size_t{512} << 10, most_bytes = std::size_t{4} << 20;

    // A new region, twice as large as the one before. What is left of that goes back.
    bool map(std::size_t bytes, std::size_t alignment) noexcept {
        const std::size_t wanted = std::max(bytes, region_bytes_);
        void* p = detail::map_pages(wanted, std::max(alignment, std::min(wanted, huge_page_bytes)));
        if (!p) return false;
        if (left_) detail::unmap_pages(next_, left_);
        next_ = static_cast<std::byte*>(p);
        left_ = wanted;
        region_bytes_ = std::min(region_bytes_ * 2, most_bytes);
        return true;
    }

    // Regions that could hold huge pages start where one could.
    static constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

    detail::spin_lock lock_{detail::lock_rank::mapped_regions};  // guards all below
    std::byte* next_ = nullptr;                                  // the region that is being handed out, from its end
    std::size_t left_ = 0;
    std::size_t region_bytes_ = first_bytes;
};

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Pages for spans, mapped by regions: one call to the operating system for a dozen spans, whose alignment costs
// nothing. deallocate() unmaps. All members are thread-safe. A region occupies address space only until its spans are
// used.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/lock_guard.hpp"
#include "base/lock_order.hpp"
#include "base/pages.hpp"
#include "base/spin_lock.hpp"
#include "base/thread_safety.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

class mapped_regions {
public:
    // Null if there is no memory. `alignment` is a span's, at most 64 KiB.
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const detail::lock_guard hold(lock_);  // across mmap, too, because a waiting thread would map a region as well
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
    static constexpr std::size_t bytes_least = std::size_t{512} << 10, bytes_most = std::size_t{4} << 20;

    // Maps a region twice as large as the last one, whose rest is unmapped.
    bool map(std::size_t bytes, std::size_t alignment) noexcept TIDEPOOL_REQUIRES(lock_) {
        const std::size_t wanted = std::max(bytes, region_bytes_);
        void* p = detail::map_pages(wanted, std::max(alignment, std::min(wanted, huge_page_bytes)));
        if (!p) return false;
        if (left_) detail::unmap_pages(next_, left_);
        next_ = static_cast<std::byte*>(p);
        left_ = wanted;
        region_bytes_ = std::min(region_bytes_ * 2, bytes_most);
        return true;
    }

    // Regions that can hold huge pages are aligned to them.
    static constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

    detail::spin_lock lock_{detail::lock_rank::mapped_regions};
    std::byte* next_ TIDEPOOL_GUARDED_BY(lock_) = nullptr;  // the rest of the last region; spans are cut from its end
    std::size_t left_ TIDEPOOL_GUARDED_BY(lock_) = 0;
    std::size_t region_bytes_ TIDEPOOL_GUARDED_BY(lock_) = bytes_least;
};

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

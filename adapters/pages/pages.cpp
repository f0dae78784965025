// The operating system as upstream: every block is pages of its own, which deallocate() unmaps. Any thread.
#include <cstddef>

#include "base/pages.hpp"

#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

struct pages {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return detail::map_pages(bytes ? bytes : 1, alignment);
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t) noexcept {
        detail::unmap_pages(p, bytes ? bytes : 1);
    }
    static bool heartbeat_safe() noexcept { return true; }
    static const char* name() noexcept { return "pages"; }
};

constinit pages only;

}  // namespace

upstream pages_upstream() noexcept { return only; }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

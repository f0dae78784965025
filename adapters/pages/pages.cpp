// The operating system as upstream. Spans are cut from regions; every other block is pages of its own. Any thread.
#include "adapters/base/mapped_pages.hpp"
#include "base/immortal.hpp"
#include "source/span_regions.hpp"

#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

constinit detail::immortal<detail::span_regions<detail::mapped_pages>> all;
[[maybe_unused]] const int forks_survived = detail::survive_forks<all>();

}  // namespace

upstream pages_upstream() noexcept { return all.it; }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

#include "set_aside.hpp"

#include <atomic>
#include <new>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

namespace {

constinit std::atomic<aside_block*> newest{nullptr};

}  // namespace

// There is no ABA problem, because single blocks are never taken.
void set_aside(void* block) noexcept {
    auto* a = ::new (block) aside_block{newest.load(std::memory_order_relaxed)};  // relaxed: the exchange decides
    // Release: the link, for take_aside().
    while (!newest.compare_exchange_weak(a->next, a, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

aside_block* take_aside() noexcept {
    if (!newest.load(std::memory_order_relaxed)) return nullptr;  // relaxed: the exchange decides
    return newest.exchange(nullptr, std::memory_order_acquire);   // partner: set_aside()
}

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// new and delete by an allocator that is not the program's malloc, as a memory resource.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <new>

#include "base/immortal.hpp"
#include "base/raise.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Allocator: a class with static members `void* allocate(bytes, alignment)`, null if there is no memory, and
// `deallocate(p, bytes, alignment)`.
template <class Allocator>
class plain_resource final : public std::pmr::memory_resource {
public:
    // The only one; static objects may use it to the end of the program.
    static std::pmr::memory_resource* get() noexcept {
        static constinit immortal<plain_resource> only;
        return &only.it;
    }

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (void* p = Allocator::allocate(bytes, alignment)) return p;
        raise(std::bad_alloc());
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
        Allocator::deallocate(p, bytes, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

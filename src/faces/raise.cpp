#include <tidepool/detail/raise.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "base/raise.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

// Without constructor and destructor, since those of other thread-local objects allocate, too.
struct kept {
    alignas(std::exception_ptr) std::byte place[sizeof(std::exception_ptr)];
    bool there, wanted;

    std::exception_ptr take() noexcept {
        auto* its = std::launder(reinterpret_cast<std::exception_ptr*>(place));
        std::exception_ptr taken = std::move(*its);
        std::destroy_at(its);
        there = false;
        return taken;
    }
    void forget() noexcept {
        if (there) take();
    }
};
constinit thread_local kept thrown{};

}  // namespace

void raise_bad_length() { raise(std::bad_array_new_length()); }

keeping_thrown::keeping_thrown() noexcept : before_(std::exchange(thrown.wanted, true)) {}

keeping_thrown::~keeping_thrown() {
    thrown.wanted = before_;
    thrown.forget();
}

void keep_thrown() noexcept {
    if (!thrown.wanted) return;
    thrown.forget();
    ::new (thrown.place) std::exception_ptr(std::current_exception());
    thrown.there = true;
}

void raise_no_memory() {
#if defined(__cpp_exceptions)
    if (thrown.there) std::rethrow_exception(thrown.take());
#endif
    raise(std::bad_alloc());
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

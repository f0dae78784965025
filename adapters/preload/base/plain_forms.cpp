// A file of its own, because in the file that defines the forms a compiler may take a call for one of the shim's.
#include "plain_forms.hpp"

#include <cstdint>

// Where the shim begins and ends, by the linker.
extern "C" {
extern const char shim_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char shim_end[] __asm__("_end") __attribute__((visibility("hidden")));
}

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace plain_forms {

constinit bool replaced = false;
constinit bool sizes_ignored = false;

namespace {

template <class Result, class... Arguments>
bool is_foreign(Result (*form)(Arguments...)) noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(shim_begin), end = reinterpret_cast<std::uintptr_t>(shim_end);
    return reinterpret_cast<std::uintptr_t>(form) - begin >= end - begin;
}

template <class... Alignment>
bool is_any_foreign() noexcept {
    return is_foreign<void*, std::size_t, Alignment...>(&::operator new) ||
           is_foreign<void*, std::size_t, Alignment...>(&::operator new[]) ||
           is_foreign<void, void*, Alignment...>(&::operator delete) ||
           is_foreign<void, void*, Alignment...>(&::operator delete[]);
}

}  // namespace

// A program that is not position-independent and takes the address of a form has a stub for it, which looks like a
// replacement. The stub leads to the shim, so that only costs a jump.
void look(bool ignore_sizes) noexcept {
    replaced = is_any_foreign<>() || is_any_foreign<std::align_val_t>();
    sizes_ignored = replaced || ignore_sizes;
}

void* call_new(std::size_t bytes) { return ::operator new(bytes); }
void* call_new(std::size_t bytes, std::align_val_t alignment) { return ::operator new(bytes, alignment); }
void call_delete(void* p) noexcept { ::operator delete(p); }
void call_delete(void* p, std::align_val_t alignment) noexcept { ::operator delete(p, alignment); }
void call_delete_array(void* p) noexcept { ::operator delete[](p); }
void call_delete_array(void* p, std::align_val_t alignment) noexcept { ::operator delete[](p, alignment); }

}  // namespace plain_forms
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

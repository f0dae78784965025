// The forms of operator new and delete that programs replace, by their public names. The standard has the other forms
// call them: new[] calls new, and delete with a size the one without. In the shim each form has a hit of its own, so
// where a program has replaced some forms and not all, the rest must go to the program's.
#pragma once

#include <cstddef>
#include <new>

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace plain_forms {

// Whether the program, or a library in front of the shim, has replaced one. False until look().
extern constinit bool replaced __attribute__((visibility("hidden")));
// The same, or the user has said that sizes are not to be trusted.
extern constinit bool sizes_ignored;

void look(bool ignore_sizes) noexcept;

// Calls by the public names.
void* call_new(std::size_t bytes);
void* call_new(std::size_t bytes, std::align_val_t alignment);
void call_delete(void* p) noexcept;
void call_delete(void* p, std::align_val_t alignment) noexcept;
void call_delete_array(void* p) noexcept;
void call_delete_array(void* p, std::align_val_t alignment) noexcept;

}  // namespace plain_forms
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

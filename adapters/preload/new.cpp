// All forms of operator new and delete.
//
// The C++ runtime library is the program's, if it has one. Its functions are referred to weakly, so that a C program
// need not load it.
#include <cerrno>
#include <cstddef>
#include <new>

#include <dlfcn.h>

#include "adapters/preload/base/exported.hpp"
#include "base/fatal.hpp"
#include "shim.hpp"

extern "C" {
// std::get_new_handler() and std::__throw_bad_alloc(), by their linker names.
std::new_handler get_new_handler_weakly() noexcept __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
void throw_bad_alloc_weakly() __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));
void* malloc(std::size_t) noexcept;
void* aligned_alloc(std::size_t, std::size_t) noexcept;
}
namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

using namespace detail;

namespace {

// The runtime library's function, also if that was loaded after the shim, and locally.
template <class Function>
Function* runtime(Function* linked, const char* name) noexcept {
    if (linked) return linked;
    void* library = ::dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
    return library ? reinterpret_cast<Function*>(::dlsym(library, name)) : nullptr;
}

// As the standard requires, calls the new-handler until there is memory, it throws, or there is none.
template <class Ask>
void* ask_or_throw(std::size_t bytes, Ask ask) {
    for (;;) {
        if (void* p = ask()) [[likely]]
            return p;
        const auto get_handler = runtime(get_new_handler_weakly, "_ZSt15get_new_handlerv");
        const std::new_handler handler = get_handler ? get_handler() : nullptr;
        if (handler) {
            handler();
            continue;
        }
        if (const auto throw_it = runtime(throw_bad_alloc_weakly, "_ZSt17__throw_bad_allocv")) throw_it();
        fatal("no memory for operator new of %zu bytes, and no C++ runtime library to throw with", bytes);
    }
}

void* new_bytes(std::size_t bytes) {
    return ask_or_throw(bytes, [=] { return ::malloc(bytes); });
}

void* new_aligned(std::size_t bytes, std::align_val_t alignment) {
    return ask_or_throw(bytes, [=] { return ::aligned_alloc(static_cast<std::size_t>(alignment), bytes); });
}

// For forms that do not throw: if there is no memory, the C++ library's own form asks again, by calling the throwing
// form above. A new-handler's exception must be caught, and a catch needs that library.
void* ask_without_throwing(const char* name, auto... arguments) noexcept {
    using form = void*(decltype(arguments)..., const std::nothrow_t&) noexcept;
    const auto its = runtime<form>(nullptr, name);
    void* p = its ? its(arguments..., std::nothrow_t{}) : nullptr;
    if (!p) errno = ENOMEM;
    return p;
}

// Takes the block's class from the size that the program says. A wrong one is found when the block returns to its span.
void delete_sized(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    const std::uint32_t size_class = size_class_of(bytes, alignment);
    if (!p || size_class == no_size_class || current.ignore_size) [[unlikely]]
        return deallocate(p);
    deallocate(p, size_class);
}

}  // namespace

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using namespace tidepool::preload;
using std::align_val_t;
using std::nothrow_t;
using std::size_t;

EXPORTED void* operator new(size_t bytes) { return new_bytes(bytes); }
EXPORTED void* operator new[](size_t bytes) { return new_bytes(bytes); }
EXPORTED void* operator new(size_t bytes, align_val_t alignment) { return new_aligned(bytes, alignment); }
EXPORTED void* operator new[](size_t bytes, align_val_t alignment) { return new_aligned(bytes, alignment); }

EXPORTED void* operator new(size_t bytes, const nothrow_t&) noexcept {
    if (void* p = ::malloc(bytes)) [[likely]]
        return p;
    return ask_without_throwing("_ZnwmRKSt9nothrow_t", bytes);
}
EXPORTED void* operator new[](size_t bytes, const nothrow_t& none) noexcept { return operator new(bytes, none); }
EXPORTED void* operator new(size_t bytes, align_val_t alignment, const nothrow_t&) noexcept {
    if (void* p = ::aligned_alloc(static_cast<size_t>(alignment), bytes)) [[likely]]
        return p;
    return ask_without_throwing("_ZnwmSt11align_val_tRKSt9nothrow_t", bytes, alignment);
}
EXPORTED void* operator new[](size_t bytes, align_val_t alignment, const nothrow_t& none) noexcept {
    return operator new(bytes, alignment, none);
}

EXPORTED void operator delete(void* p) noexcept { deallocate(p); }
EXPORTED void operator delete[](void* p) noexcept { deallocate(p); }
EXPORTED void operator delete(void* p, const nothrow_t&) noexcept { deallocate(p); }
EXPORTED void operator delete[](void* p, const nothrow_t&) noexcept { deallocate(p); }
EXPORTED void operator delete(void* p, align_val_t) noexcept { deallocate(p); }
EXPORTED void operator delete[](void* p, align_val_t) noexcept { deallocate(p); }
EXPORTED void operator delete(void* p, align_val_t, const nothrow_t&) noexcept { deallocate(p); }
EXPORTED void operator delete[](void* p, align_val_t, const nothrow_t&) noexcept { deallocate(p); }

EXPORTED void operator delete(void* p, size_t bytes) noexcept { delete_sized(p, bytes, 1); }
EXPORTED void operator delete[](void* p, size_t bytes) noexcept { delete_sized(p, bytes, 1); }
EXPORTED void operator delete(void* p, size_t bytes, align_val_t alignment) noexcept {
    delete_sized(p, bytes, static_cast<size_t>(alignment));
}
EXPORTED void operator delete[](void* p, size_t bytes, align_val_t alignment) noexcept {
    delete_sized(p, bytes, static_cast<size_t>(alignment));
}

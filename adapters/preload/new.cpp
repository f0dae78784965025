// All forms of operator new and delete. new and delete enter by the same door, the hit, and never by the public names
// of malloc and free, which may be the program's or a tracing library's.
//
// The C++ runtime library is the program's, if it has one. Its functions are referred to weakly, so that a C program
// need not load it.
#include <bit>
#include <cerrno>
#include <cstddef>
#include <new>

#include <dlfcn.h>

#include "adapters/preload/base/exported.hpp"
#include "adapters/preload/base/plain_forms.hpp"
#include "base/fatal.hpp"
#include "shim.hpp"

extern "C" {
// std::get_new_handler() and std::__throw_bad_alloc(), by their linker names.
std::new_handler get_new_handler_weakly() noexcept __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
void throw_bad_alloc_weakly() __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));
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
    for (const char* each : {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"})
        if (void* library = ::dlopen(each, RTLD_LAZY | RTLD_NOLOAD))
            if (void* function = ::dlsym(library, name)) return reinterpret_cast<Function*>(function);
    return nullptr;
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

// For forms that do not throw: if there is no memory, the C++ library's own form asks again, by calling the throwing
// form. A new-handler's exception must be caught, and a catch needs that library.
void* ask_without_throwing(const char* name, auto... arguments) noexcept {
    using form = void*(decltype(arguments)..., const std::nothrow_t&) noexcept;
    const auto its = runtime<form>(nullptr, name);
    void* p = its ? its(arguments..., std::nothrow_t{}) : nullptr;
    if (!p) errno = ENOMEM;
    return p;
}

// Any other alignment is a mistake, which no memory answers.
bool is_alignment(std::align_val_t alignment) noexcept {
    return std::has_single_bit(static_cast<std::size_t>(alignment));
}

// What is not a hit.
[[gnu::noinline]] void* new_missed(std::size_t bytes) {
    return ask_or_throw(bytes, [=] { return allocate_missed(bytes); });
}

[[gnu::noinline]] void* new_missed(std::size_t bytes, std::align_val_t alignment) {
    return ask_or_throw(bytes, [=] {
        return is_alignment(alignment) ? allocate_aligned_missed(static_cast<std::size_t>(alignment), bytes) : nullptr;
    });
}

[[gnu::noinline]] void* new_nothrow_missed(std::size_t bytes, const char* its) noexcept {
    if (!plain_forms::replaced)
        if (void* p = allocate_missed(bytes)) return p;
    return ask_without_throwing(its, bytes);
}

[[gnu::noinline]] void* new_nothrow_missed(std::size_t bytes, std::align_val_t alignment, const char* its) noexcept {
    if (!plain_forms::replaced && is_alignment(alignment))
        if (void* p = allocate_aligned_missed(static_cast<std::size_t>(alignment), bytes)) return p;
    return ask_without_throwing(its, bytes, alignment);
}

// A hit of new, or miss().
template <class Miss>
[[gnu::always_inline]] inline void* new_or(std::size_t bytes, std::align_val_t alignment, Miss miss) {
    if (!is_alignment(alignment)) [[unlikely]]
        return miss();
    return allocate_aligned_or(static_cast<std::size_t>(alignment), bytes, miss);
}

[[gnu::always_inline]] inline void* new_nothrow(std::size_t bytes, const char* its) noexcept {
    const auto miss = [=] { return new_nothrow_missed(bytes, its); };
    return plain_forms::replaced ? miss() : allocate_or(bytes, miss);
}

[[gnu::always_inline]] inline void* new_nothrow(std::size_t bytes, std::align_val_t alignment,
                                                const char* its) noexcept {
    const auto miss = [=] { return new_nothrow_missed(bytes, alignment, its); };
    return plain_forms::replaced ? miss() : new_or(bytes, alignment, miss);
}

// The size that the program says is not believed: a wrong one would put the block among those of another class, over
// its neighbours. The page map is as fast.
template <class Plain>
[[gnu::always_inline]] inline void delete_sized(void* p, std::size_t bytes, Plain plain) noexcept {
    if (plain_forms::replaced) [[unlikely]]
        return plain();
    check_size(p, bytes);
    deallocate(p);
}

}  // namespace

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using namespace tidepool::preload;
using std::align_val_t;
using std::nothrow_t;
using std::size_t;

EXPORTED void* operator new(size_t bytes) {
    return allocate_or(bytes, [=] { return new_missed(bytes); });
}
EXPORTED void* operator new(size_t bytes, align_val_t alignment) {
    return new_or(bytes, alignment, [=] { return new_missed(bytes, alignment); });
}
EXPORTED void* operator new[](size_t bytes) {
    if (plain_forms::replaced) [[unlikely]]
        return plain_forms::call_new(bytes);
    return allocate_or(bytes, [=] { return new_missed(bytes); });
}
EXPORTED void* operator new[](size_t bytes, align_val_t alignment) {
    if (plain_forms::replaced) [[unlikely]]
        return plain_forms::call_new(bytes, alignment);
    return new_or(bytes, alignment, [=] { return new_missed(bytes, alignment); });
}

EXPORTED void* operator new(size_t bytes, const nothrow_t&) noexcept {
    return new_nothrow(bytes, "_ZnwmRKSt9nothrow_t");
}
EXPORTED void* operator new[](size_t bytes, const nothrow_t&) noexcept {
    return new_nothrow(bytes, "_ZnamRKSt9nothrow_t");
}
EXPORTED void* operator new(size_t bytes, align_val_t alignment, const nothrow_t&) noexcept {
    return new_nothrow(bytes, alignment, "_ZnwmSt11align_val_tRKSt9nothrow_t");
}
EXPORTED void* operator new[](size_t bytes, align_val_t alignment, const nothrow_t&) noexcept {
    return new_nothrow(bytes, alignment, "_ZnamSt11align_val_tRKSt9nothrow_t");
}

EXPORTED void operator delete(void* p) noexcept { deallocate(p); }
EXPORTED void operator delete(void* p, align_val_t) noexcept { deallocate(p); }
EXPORTED void operator delete[](void* p) noexcept {
    plain_forms::replaced ? plain_forms::call_delete(p) : deallocate(p);
}
EXPORTED void operator delete[](void* p, align_val_t alignment) noexcept {
    plain_forms::replaced ? plain_forms::call_delete(p, alignment) : deallocate(p);
}

// For an object whose constructor throws, so no hit of its own.
EXPORTED void operator delete(void* p, const nothrow_t&) noexcept { plain_forms::call_delete(p); }
EXPORTED void operator delete[](void* p, const nothrow_t&) noexcept { plain_forms::call_delete_array(p); }
EXPORTED void operator delete(void* p, align_val_t alignment, const nothrow_t&) noexcept {
    plain_forms::call_delete(p, alignment);
}
EXPORTED void operator delete[](void* p, align_val_t alignment, const nothrow_t&) noexcept {
    plain_forms::call_delete_array(p, alignment);
}

EXPORTED void operator delete(void* p, size_t bytes) noexcept {
    delete_sized(p, bytes, [=] { plain_forms::call_delete(p); });
}
EXPORTED void operator delete[](void* p, size_t bytes) noexcept {
    delete_sized(p, bytes, [=] { plain_forms::call_delete_array(p); });
}
EXPORTED void operator delete(void* p, size_t bytes, align_val_t alignment) noexcept {
    delete_sized(p, bytes, [=] { plain_forms::call_delete(p, alignment); });
}
EXPORTED void operator delete[](void* p, size_t bytes, align_val_t alignment) noexcept {
    delete_sized(p, bytes, [=] { plain_forms::call_delete_array(p, alignment); });
}

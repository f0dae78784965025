#include "libc.hpp"

#include <dlfcn.h>
#include <malloc.h>

#include <atomic>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {
namespace libc {

namespace {

// A function of libc's without a second name; null if there is none. Looked up at its first use, because the look-up
// may allocate. Not by RTLD_NEXT, which finds the other malloc in a program that is linked to one.
template <class Function>
class late {
public:
    explicit constexpr late(const char* name) noexcept : name_(name) {}

    Function* get() noexcept {
        // Relaxed: a second look-up finds the same.
        if (!function_.load(std::memory_order_relaxed))
            if (void* libc = ::dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD))
                function_.store(reinterpret_cast<Function*>(::dlsym(libc, name_)), std::memory_order_relaxed);
        return function_.load(std::memory_order_relaxed);
    }

private:
    const char* const name_;
    std::atomic<Function*> function_{nullptr};
};

constinit late<std::size_t(void*)> its_usable_size("malloc_usable_size");
constinit late<int(std::size_t)> its_trim("malloc_trim");
constinit late<struct mallinfo2()> its_mallinfo("mallinfo2");

}  // namespace

void* malloc(std::size_t bytes) noexcept { return ::__libc_malloc(bytes); }
void* calloc(std::size_t count, std::size_t bytes) noexcept { return ::__libc_calloc(count, bytes); }
void* realloc(void* p, std::size_t bytes) noexcept { return ::__libc_realloc(p, bytes); }
void* memalign(std::size_t alignment, std::size_t bytes) noexcept { return ::__libc_memalign(alignment, bytes); }
void free(void* p) noexcept { ::__libc_free(p); }

std::size_t usable_size(void* p) noexcept {
    const auto function = its_usable_size.get();
    return function ? function(p) : 0;
}

bool trim(std::size_t keep) noexcept {
    const auto function = its_trim.get();
    return function && function(keep) != 0;
}

backing::use measure() noexcept {
    const auto function = its_mallinfo.get();
    if (!function) return {};
    const struct mallinfo2 its = function();
    return {its.uordblks + its.hblkhd, its.arena + its.hblkhd};
}

}  // namespace libc
}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

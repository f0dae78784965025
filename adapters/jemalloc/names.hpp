// jemalloc's functions, under the names that this library calls them by: those of the private copy (CMakeLists.txt), or
// with TIDEPOOL_JEMALLOC_SHARED jemalloc's own, of the libjemalloc that is the program's malloc. Documented in
// jemalloc(3). Declared here, because jemalloc's header knows one set of names only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(TIDEPOOL_JEMALLOC_SHARED)
#define TIDEPOOL_JE(name) __asm__(name)
#else
#define TIDEPOOL_JE(name) __asm__("tidepool_je_" name)
#endif

extern "C" {

void* tidepool_je_malloc(std::size_t bytes) noexcept TIDEPOOL_JE("malloc");
void* tidepool_je_calloc(std::size_t count, std::size_t bytes) noexcept TIDEPOOL_JE("calloc");
void* tidepool_je_realloc(void* p, std::size_t bytes) noexcept TIDEPOOL_JE("realloc");
void tidepool_je_free(void* p) noexcept TIDEPOOL_JE("free");
std::size_t tidepool_je_malloc_usable_size(void* p) noexcept TIDEPOOL_JE("malloc_usable_size");

// Zero bytes are not allowed in any of these.
void* tidepool_je_mallocx(std::size_t bytes, int flags) noexcept TIDEPOOL_JE("mallocx");
void* tidepool_je_rallocx(void* p, std::size_t bytes, int flags) noexcept TIDEPOOL_JE("rallocx");
std::size_t tidepool_je_nallocx(std::size_t bytes, int flags) noexcept TIDEPOOL_JE("nallocx");
std::size_t tidepool_je_sallocx(const void* p, int flags) noexcept TIDEPOOL_JE("sallocx");
void tidepool_je_dallocx(void* p, int flags) noexcept TIDEPOOL_JE("dallocx");
void tidepool_je_sdallocx(void* p, std::size_t bytes, int flags) noexcept TIDEPOOL_JE("sdallocx");

int tidepool_je_mallctl(const char* name, void* old_value, std::size_t* old_bytes, void* new_value,
                        std::size_t new_bytes) noexcept TIDEPOOL_JE("mallctl");
int tidepool_je_mallctlnametomib(const char* name, std::size_t* mib, std::size_t* mib_length) noexcept
    TIDEPOOL_JE("mallctlnametomib");
int tidepool_je_mallctlbymib(const std::size_t* mib, std::size_t mib_length, void* old_value, std::size_t* old_bytes,
                             void* new_value, std::size_t new_bytes) noexcept TIDEPOOL_JE("mallctlbymib");

}  // extern "C"

namespace tidepool_je {

// Flags, as jemalloc's macros MALLOCX_ALIGN, MALLOCX_ARENA and MALLOCX_TCACHE_NONE make them.
constexpr int aligned(std::size_t alignment) noexcept { return std::countr_zero(alignment); }
constexpr int in_arena(unsigned arena) noexcept { return static_cast<int>((arena + 1) << 20); }
inline constexpr int uncached = 1 << 8;

// In a mib: all arenas.
inline constexpr unsigned all_arenas = 4096;

}  // namespace tidepool_je

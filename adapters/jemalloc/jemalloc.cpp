#include <tidepool/jemalloc.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <new>

#include "adapters/base/plain_resource.hpp"
#include "arenas.hpp"
#include "base/immortal.hpp"
#include "base/made_once.hpp"
#include "base/raise.hpp"
#include "blocks.hpp"
#include "heartbeat.hpp"
#include "names.hpp"
#include "source/span_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

namespace je = ::tidepool_je;
using namespace detail::jemalloc;

// As malloc and free of jemalloc's.
struct plain_blocks {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return allocate_block(bytes, alignment, 0);
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        deallocate_block(p, bytes, alignment, 0);
    }
};

// Small blocks as above, large ones from their own arena.
struct shared_blocks {
    static int flags_for(std::size_t bytes) noexcept {
        return bytes >= large_arena::bytes_least ? large_arena::get().allocation_flags : 0;
    }

    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return allocate_block(bytes, alignment, flags_for(bytes));
    }
    static std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                      std::size_t count) noexcept {
        return allocate_blocks(bytes, alignment, flags_for(bytes), out, count);
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        deallocate_block(p, bytes, alignment,
                         bytes >= large_arena::bytes_least ? large_arena::get().deallocation_flags : 0);
    }
    static void purge() noexcept {
        if (large_arena::get().exists) purge_arena(large_arena::get().index);
        decay_arenas();
    }
    static std::size_t good_size(std::size_t bytes) noexcept {
        return bytes == 0 ? 0 : std::max(bytes, tidepool_je_nallocx(bytes, 0));
    }
    static const char* name() noexcept {
        const auto& texts = detail::made_once<[] {
            struct {
                char of[3][96];
            } made{};
            const char* version = "?";
            std::size_t bytes = sizeof version;
            tidepool_je_mallctl("version", &version, &bytes, nullptr, 0);
            std::size_t length = 0;
            while (version[length] && version[length] != '-') ++length;  // "5.3.0-0-g54eaed1…"
            const char* beats[] = {"heartbeat: activity callback", "heartbeat: thread event hook", "no heartbeat"};
            for (int i = 0; i < 3; ++i)
                std::snprintf(made.of[i], sizeof made.of[i], "jemalloc %.*s (%s)",
                              static_cast<int>(std::min(length, std::size_t{32})), version, beats[i]);
            return made;
        }>();
        return texts.of[static_cast<int>(current_heartbeat_hook())];
    }
};

constinit detail::immortal<detail::span_regions<shared_blocks>> all;
[[maybe_unused]] const int forks_survived = detail::survive_forks<all>();  // jemalloc has handlers for its own locks

}  // namespace

upstream jemalloc_upstream() noexcept { return all.it; }

std::pmr::memory_resource* jemalloc_resource() noexcept { return detail::plain_resource<plain_blocks>::get(); }

// ---- an arena of one's own -----------------------------------------------------------------------------------------

jemalloc_arena::jemalloc_arena(const jemalloc_arena_options& options) {
    if (!make_arena(index_)) detail::raise(std::bad_alloc());
    flags_ = je::in_arena(index_) | je::uncached;
    set_decay(index_, static_cast<ssize_t>(options.dirty_decay.count()),
              static_cast<ssize_t>(options.muzzy_decay.count()));
}

jemalloc_arena::~jemalloc_arena() { destroy_arena(index_); }

void* jemalloc_arena::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    return allocate_block(bytes, alignment, flags_);
}

void jemalloc_arena::deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    deallocate_block(p, bytes, alignment, flags_);
}

std::size_t jemalloc_arena::allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                           std::size_t count) noexcept {
    return allocate_blocks(bytes, alignment, flags_, out, count);
}

void jemalloc_arena::purge() noexcept { purge_arena(index_); }

void jemalloc_arena::release() noexcept { reset_arena(index_); }

std::size_t jemalloc_arena::good_size(std::size_t bytes) const noexcept { return shared_blocks::good_size(bytes); }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

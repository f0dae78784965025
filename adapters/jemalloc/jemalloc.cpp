#include <tidepool/jemalloc.hpp>

#include <pthread.h>
#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <new>

#include "base/immortal.hpp"
#include "base/made_once.hpp"
#include "base/pages.hpp"
#include "clock/heartbeat.hpp"
#include "heartbeat_hook.hpp"
#include "names.hpp"
#include "source/span_regions.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {

namespace {

namespace je = ::tidepool_je;
using namespace detail::jemalloc;

// jemalloc aligns to 16 what has 16 bytes or more.
constexpr std::size_t natural_alignment = 16;
// Requests of at least this many bytes come from the shared arena: a span's size, and too large for jemalloc's thread
// caches as they are by default.
constexpr std::size_t large = std::size_t{64} << 10;
// From this many blocks on a batch is cheaper than single calls, which is about 8 to 16.
constexpr std::size_t batch_pays = 16;
constexpr std::uint64_t thread_event_interval = std::uint64_t{64} << 10;  // bytes

// The path of a mallctl, looked up. `length` 0: this jemalloc does not know it.
struct path {
    std::size_t mib[8];
    std::size_t length = 8;

    explicit path(const char* name) noexcept {
        if (tidepool_je_mallctlnametomib(name, mib, &length) != 0) length = 0;
    }

    bool call(void* old_value = nullptr, std::size_t* old_bytes = nullptr, void* new_value = nullptr,
              std::size_t new_bytes = 0) const noexcept {
        return length != 0 && tidepool_je_mallctlbymib(mib, length, old_value, old_bytes, new_value, new_bytes) == 0;
    }
    // With the arena's number in its place.
    bool call_of(unsigned arena, void* new_value = nullptr, std::size_t new_bytes = 0) const noexcept {
        path of_this = *this;
        of_this.mib[1] = arena;
        return of_this.call(nullptr, nullptr, new_value, new_bytes);
    }
};

// ---- heartbeat -----------------------------------------------------------------------------------------------------

std::atomic<bool> hookless{false};  // relaxed: for tests

// Which hook there is; the one for all threads is set on the way.
heartbeat_hook the_heartbeat_hook() noexcept {
    const heartbeat_hook found = detail::made_once<[] {
        const heartbeat_hook kind = find_heartbeat_hook(tidepool_je_mallctlnametomib);
        if (kind != heartbeat_hook::thread_event) return kind;
        thread_event hook{[](bool, std::uint64_t, std::uint64_t) {
                              if (!hookless.load(std::memory_order_relaxed)) detail::heartbeat();
                          },
                          thread_event_interval, true};
        const bool set = tidepool_je_mallctl(thread_event_name, nullptr, nullptr, &hook, sizeof hook) == 0;
        return set ? kind : heartbeat_hook::none;
    }>();
    return hookless.load(std::memory_order_relaxed) ? heartbeat_hook::none : found;
}

// Of the calling thread: whether its hook was set, or there is none to set, and whose hook was there before.
thread_local bool listening = false;
thread_local activity_callback before{};

// Called by jemalloc after an allocation or in a deallocation, with no lock of its own held, and not guarded against
// being called again out of what it does: detail::heartbeat() is.
void on_activity(void*, std::uint64_t allocated, std::uint64_t deallocated) {
    if (!hookless.load(std::memory_order_relaxed)) detail::heartbeat();
    if (before.function) before.function(before.context, allocated, deallocated);
}

[[gnu::noinline]] void begin_to_listen() noexcept {
    listening = true;
    if (the_heartbeat_hook() != heartbeat_hook::activity_callback) return;
    activity_callback ours{on_activity, nullptr};
    std::size_t bytes = sizeof before;
    path(activity_callback_name).call(&before, &bytes, &ours, sizeof ours);
    if (before.function == on_activity) before = {};
}

void listen() noexcept {
    if (!listening) [[unlikely]]
        begin_to_listen();
}

// ---- blocks --------------------------------------------------------------------------------------------------------

int alignment_flag(std::size_t alignment) noexcept {
    return alignment > natural_alignment ? je::aligned(alignment) : 0;
}

// jemalloc aligns 8 bytes to 8; zero bytes are not for its extended calls.
std::size_t whole(std::size_t bytes, std::size_t alignment) noexcept {
    return std::max(bytes, alignment > natural_alignment / 2 ? natural_alignment : 1);
}

// malloc has the short way in jemalloc, mallocx has not. errno is left as it was.
void* allocate_with(std::size_t bytes, int flags) noexcept {
    listen();
    const int saved = errno;
    void* p = flags == 0 ? tidepool_je_malloc(bytes) : tidepool_je_mallocx(bytes, flags);
    std::atomic_signal_fence(
        std::memory_order_seq_cst);  // where it is named malloc, clang takes it to leave errno alone
    errno = saved;
    return p;
}

std::size_t allocate_batch_with(std::size_t bytes, int flags, void** out, std::size_t count) noexcept {
    struct {
        void** out;
        std::size_t count, bytes;
        int flags;
    } order{out, count, bytes, flags};
    std::size_t got = 0, got_bytes = sizeof got;
    if (count >= batch_pays) {
        listen();
        const path& batch = detail::made_once<[] { return path("experimental.batch_alloc"); }>();
        const int saved = errno;
        if (!batch.call(&got, &got_bytes, &order, sizeof order)) got = 0;
        errno = saved;
    }
    while (got < count && (out[got] = allocate_with(bytes, flags))) ++got;
    return got;
}

// ---- arenas --------------------------------------------------------------------------------------------------------

// False where jemalloc has no more.
bool make_arena(unsigned& arena) noexcept {
    std::size_t bytes = sizeof arena;
    return tidepool_je_mallctl("arenas.create", &arena, &bytes, nullptr, 0) == 0;
}

void purge_arena(unsigned arena) noexcept {
    const path& purge = detail::made_once<[] { return path("arena.0.purge"); }>();
    purge.call_of(arena);
}

// What large requests of all users of jemalloc_upstream() come from: a purge of it gives away what they have handed
// down, and nothing that the program keeps for itself. Without one, should there be none to be had, from jemalloc's own
// arenas.
struct large_arena {
    unsigned index = 0;
    bool exists;
    int flags;

    large_arena() noexcept : exists(make_arena(index)), flags(exists ? je::in_arena(index) | je::uncached : 0) {}
    static const large_arena& get() noexcept {
        return detail::made_once<[] { return large_arena(); }>();
    }
};

int flags_for(std::size_t bytes, std::size_t alignment) noexcept {
    return alignment_flag(alignment) | (bytes >= large ? large_arena::get().flags : 0);
}
// As flags_for(), without the arena: jemalloc knows it by the block.
int way_back(std::size_t bytes, std::size_t alignment) noexcept {
    return alignment_flag(alignment) | (bytes >= large && large_arena::get().exists ? je::uncached : 0);
}

// Where spans come from: a thread that uses nothing but pools comes to have no cache of jemalloc's, and jemalloc has no
// record of each span.
struct large_blocks {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return allocate_with(bytes, flags_for(bytes, alignment));
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        tidepool_je_sdallocx(p, bytes, way_back(bytes, alignment));
    }
};
using regions = detail::span_regions<large_blocks>;
constinit detail::immortal<regions> spans;

// A child finds the regions whole, as jemalloc sees to its own. At load: no child is forked while it is half done.
[[maybe_unused]] const int forks_heard =
    ::pthread_atfork([] { spans.it.before_fork(); }, [] { spans.it.after_fork(); }, [] { spans.it.after_fork(); });

struct shared {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        if (regions::serves(bytes, alignment))
            if (void* p = spans.it.allocate(bytes)) return p;
        bytes = whole(bytes, alignment);
        return allocate_with(bytes, flags_for(bytes, alignment));
    }
    static void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        if (regions::serves(bytes, alignment) && spans.it.deallocate(p, bytes)) return;
        bytes = whole(bytes, alignment);
        tidepool_je_sdallocx(p, bytes, way_back(bytes, alignment));
    }
    static std::size_t allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                      std::size_t count) noexcept {
        bytes = whole(bytes, alignment);
        return allocate_batch_with(bytes, flags_for(bytes, alignment), out, count);
    }
    static void deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) deallocate(blocks[i], bytes, alignment);
    }
    static void discard(void* p, std::size_t bytes) noexcept { detail::empty_pages(p, bytes); }
    // The arena of large blocks at once; jemalloc's own, where small blocks went, as far as their decay times say.
    static void purge() noexcept {
        spans.it.purge();
        if (large_arena::get().exists) purge_arena(large_arena::get().index);
        const path& decay = detail::made_once<[] { return path("arena.0.decay"); }>();
        decay.call_of(je::all_arenas);
    }
    static std::size_t good_size(std::size_t bytes) noexcept {
        return bytes == 0 ? 0 : std::max(bytes, tidepool_je_nallocx(bytes, 0));
    }
    static bool heartbeat_safe() noexcept { return true; }
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
        return texts.of[static_cast<int>(the_heartbeat_hook())];
    }
};

constinit shared all;

class plain_resource final : public std::pmr::memory_resource {
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (void* p = allocate_with(whole(bytes, alignment), alignment_flag(alignment))) return p;
        throw std::bad_alloc();
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
        tidepool_je_sdallocx(p, whole(bytes, alignment), alignment_flag(alignment));
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

void detail::jemalloc::pretend_without_heartbeat_hook(bool without) noexcept {
    hookless.store(without, std::memory_order_relaxed);
}

upstream jemalloc_upstream() noexcept { return all; }

std::pmr::memory_resource* jemalloc_resource() noexcept {
    static constinit detail::immortal<plain_resource> only;  // static objects may use it to the end
    return &only.it;
}

// ---- an arena of one's own -----------------------------------------------------------------------------------------

jemalloc_arena::jemalloc_arena(const jemalloc_arena_options& options) {
    if (!make_arena(index_)) throw std::bad_alloc();
    flags_ = je::in_arena(index_) | je::uncached;
    auto dirty = static_cast<ssize_t>(options.dirty_decay.count()),
         muzzy = static_cast<ssize_t>(options.muzzy_decay.count());
    path("arena.0.dirty_decay_ms").call_of(index_, &dirty, sizeof dirty);
    path("arena.0.muzzy_decay_ms").call_of(index_, &muzzy, sizeof muzzy);
}

jemalloc_arena::~jemalloc_arena() { path("arena.0.destroy").call_of(index_); }

void* jemalloc_arena::allocate(std::size_t bytes, std::size_t alignment) noexcept {
    return allocate_with(whole(bytes, alignment), flags_ | alignment_flag(alignment));
}

void jemalloc_arena::deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
    tidepool_je_sdallocx(p, whole(bytes, alignment), flags_ | alignment_flag(alignment));
}

std::size_t jemalloc_arena::allocate_batch(std::size_t bytes, std::size_t alignment, void** out,
                                           std::size_t count) noexcept {
    return allocate_batch_with(whole(bytes, alignment), flags_ | alignment_flag(alignment), out, count);
}

void jemalloc_arena::deallocate_batch(std::size_t bytes, std::size_t alignment, void** blocks,
                                      std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) deallocate(blocks[i], bytes, alignment);
}

void jemalloc_arena::purge() noexcept { purge_arena(index_); }

void jemalloc_arena::release() noexcept { path("arena.0.reset").call_of(index_); }

std::size_t jemalloc_arena::good_size(std::size_t bytes) const noexcept { return shared::good_size(bytes); }

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

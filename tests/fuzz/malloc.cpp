// The malloc family, and new and delete, used by several threads, with trims, forks and threads that exit. It knows
// nothing of Tidepool: what it asks holds for libc's malloc as well, but for what the shim alone promises, which is
// asked if TIDEPOOL_TESTS_SHIM is set.
//
// An input is steps, each of a byte for what and by whom, and what the step needs.
#include <dlfcn.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "bytes.hpp"
#include "crew.hpp"
#include "live_blocks.hpp"
#include "require.hpp"

namespace {

using fuzz::bytes;
using fuzz::live_blocks;
using fuzz::require;

// Which of them it is, by whoever starts the program.
bool shim_is(const char* flavour) {
    const char* const said = std::getenv("TIDEPOOL_TESTS_SHIM");
    return said && (!*flavour || std::strcmp(said, flavour) == 0);
}
const bool is_shim = shim_is(""), is_hardened = shim_is("hardened");

// Functions that not every libc has.
template <class Function>
Function* by_name(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, name));
}
const auto its_free_sized = by_name<void(void*, std::size_t)>("free_sized");
const auto its_free_aligned_sized = by_name<void(void*, std::size_t, std::size_t)>("free_aligned_sized");

enum class family : std::uint8_t { plain, aligned, single, array, single_aligned, array_aligned };
enum class form : std::uint8_t {
    malloc,
    calloc,
    realloc,
    reallocarray,
    aligned_alloc,
    posix_memalign,
    memalign,
    valloc,
    single,
    single_nothrow,
    array,
    array_nothrow,
    single_aligned,
    single_aligned_nothrow,
    array_aligned,
    array_aligned_nothrow,
};
constexpr std::size_t forms = 16;

family family_of(form how) {
    if (how < form::aligned_alloc) return family::plain;
    if (how == form::aligned_alloc) return family::aligned;
    if (how < form::single) return family::plain;
    return static_cast<family>((static_cast<std::size_t>(how) - static_cast<std::size_t>(form::single)) / 2 + 2);
}
bool has_alignment(form how) {
    return how >= form::single_aligned || (how >= form::aligned_alloc && how <= form::memalign);
}

// Blocks that were taken together and are freed together.
struct bundle {
    form how = form::malloc;
    std::size_t bytes = 0, alignment = 1, count = 0;
    std::uint8_t stamp = 0;
    std::array<void*, 32> blocks;
};
constexpr std::size_t slots = 48;

enum class step_kind : std::uint8_t { take, give, resize };
struct step {
    step_kind what;
    std::size_t slot = 0;
    bundle wanted;  // of take; the size also of resize
    std::uint8_t rest = 0;
};

void* allocate(const bundle& b) {
    const auto alignment = std::align_val_t{b.alignment};
    void* p = nullptr;
    switch (b.how) {
        case form::malloc:
            return std::malloc(b.bytes);
        case form::calloc:
            return b.bytes % 3 ? std::calloc(1, b.bytes) : std::calloc(b.bytes / 3, 3);
        case form::realloc:
            return std::realloc(nullptr, b.bytes);
        case form::reallocarray:
            return ::reallocarray(nullptr, 1, b.bytes);
        case form::aligned_alloc:
            return std::aligned_alloc(b.alignment, b.bytes);
        case form::posix_memalign:
            require(::posix_memalign(&p, std::max(b.alignment, sizeof(void*)), b.bytes) == 0, "posix_memalign");
            return p;
        case form::memalign:
            return ::memalign(b.alignment, b.bytes);
        case form::valloc:
            return ::valloc(b.bytes);
        case form::single:
            return ::operator new(b.bytes);
        case form::single_nothrow:
            return ::operator new(b.bytes, std::nothrow);
        case form::array:
            return ::operator new[](b.bytes);
        case form::array_nothrow:
            return ::operator new[](b.bytes, std::nothrow);
        case form::single_aligned:
            return ::operator new(b.bytes, alignment);
        case form::single_aligned_nothrow:
            return ::operator new(b.bytes, alignment, std::nothrow);
        case form::array_aligned:
            return ::operator new[](b.bytes, alignment);
        default:
            return ::operator new[](b.bytes, alignment, std::nothrow);
    }
}

// `way`: which of the forms that fit. Without `?:`, of which clang 14 makes calls of both deletes.
void deallocate(void* p, const bundle& b, std::uint8_t way) {
    const auto alignment = std::align_val_t{b.alignment};
    const bool sized = way % 3 == 1, nothrow = way % 3 == 2;
    switch (family_of(b.how)) {
        case family::plain:
            if (sized && its_free_sized) return its_free_sized(p, b.bytes);
            return std::free(p);
        case family::aligned:
            if (sized && its_free_aligned_sized) return its_free_aligned_sized(p, b.alignment, b.bytes);
            return std::free(p);
        case family::single:
            if (sized) return ::operator delete(p, b.bytes);
            if (nothrow) return ::operator delete(p, std::nothrow);
            return ::operator delete(p);
        case family::array:
            if (sized) return ::operator delete[](p, b.bytes);
            if (nothrow) return ::operator delete[](p, std::nothrow);
            return ::operator delete[](p);
        case family::single_aligned:
            if (sized) return ::operator delete(p, b.bytes, alignment);
            if (nothrow) return ::operator delete(p, alignment, std::nothrow);
            return ::operator delete(p, alignment);
        default:
            if (sized) return ::operator delete[](p, b.bytes, alignment);
            if (nothrow) return ::operator delete[](p, alignment, std::nothrow);
            return ::operator delete[](p, alignment);
    }
}

// A call that succeeds leaves errno alone.
constexpr int untouched = 12345;
template <class Call>
auto quietly(const char* what, Call call) {
    errno = untouched;
    const auto result = call();
    require(!is_shim || errno == untouched, "%s that succeeds leaves errno, now %d", what, errno);
    return result;
}
template <class Call>
void require_fails(const char* what, int with, Call call) {
    errno = untouched;
    require(call() == nullptr && errno == with, "%s fails with %d; errno is %d", what, with, errno);
}

class session {
public:
    explicit session(bytes& in) : in_(in) {}

    void run() {
        while (!in_.done()) one();
        for (bundle& b : bundles_) give(b, 0);
        require(live_.count() == 0, "the model agrees with itself");
    }

private:
    void one() {
        const std::uint8_t head = in_.next();
        const std::size_t who = head >> 6;
        step next{.what = step_kind::take};
        switch (head % 16) {
            case 0:
            case 1:
            case 2:
                next = take_from(in_.below(slots));
                break;
            case 3:
            case 4:
            case 5:
                next = give_from(in_.below(slots));
                break;
            case 6:
            case 7:
                next = resize_from(in_.below(slots));
                break;
            case 8:
            case 9:
                return all_at_once();
            case 10:
                return trim(who);
            case 11:
                return audit();
            case 12:
                return crew_.dismiss(who);
            case 13:
                return fork_once();
            default:
                return crew_.run(who, [this] { mistakes(); });
        }
        crew_.run(who, [&] { perform(next); });
    }

    step take_from(std::size_t slot) {
        step next{.what = step_kind::take, .slot = slot};
        bundle& b = next.wanted;
        const std::uint8_t kind = in_.next();
        b.how = static_cast<form>(kind % forms);
        b.count = kind & 0x40 ? 1 + in_.below(b.blocks.size()) : 1;
        b.bytes = in_.size();
        if (has_alignment(b.how)) b.alignment = in_.alignment();
        b.stamp = static_cast<std::uint8_t>(++stamps_ | 1);
        return next;
    }
    step give_from(std::size_t slot) {
        return {.what = step_kind::give, .slot = slot, .wanted = {}, .rest = in_.next()};
    }
    step resize_from(std::size_t slot) {
        step next{.what = step_kind::resize, .slot = slot, .wanted = {}, .rest = in_.next()};
        next.wanted.bytes = in_.size();
        return next;
    }

    // Threads work beside each other, each with slots of its own.
    void all_at_once() {
        std::array<std::vector<step>, fuzz::crew::threads> work;
        const std::size_t count = 1 + in_.below(16);
        for (std::size_t i = 0; i < count && !in_.done(); ++i)
            for (std::size_t who = 0; who < work.size(); ++who) {
                const std::uint8_t head = in_.next();
                const std::size_t slot = head / 4 % (slots / work.size()) * work.size() + who;
                work[who].push_back(head % 4 < 2    ? take_from(slot)
                                    : head % 4 == 2 ? give_from(slot)
                                                    : resize_from(slot));
            }
        const bool trims = in_.next() & 1;
        crew_.all_at_once([&](std::size_t who) {
            for (const step& each : work[who]) perform(each);
            if (trims) ::malloc_trim(0);
        });
    }

    // Called by any thread, of which only one has the slot.
    void perform(const step& s) {
        bundle& b = bundles_[s.slot];
        if (s.what == step_kind::resize) return resize(b, s.wanted.bytes, s.rest);
        give(b, s.rest);
        if (s.what == step_kind::give) return;
        b = s.wanted;
        for (void*& p : b.blocks) {
            if (&p == b.blocks.data() + b.count) break;
            p = quietly("a request", [&] { return allocate(b); });
            require(p, "there is memory");
            if (b.how == form::calloc) require_zero(p, b.bytes);
            entered(p, b);
        }
    }
    void entered(void* p, const bundle& b) {
        const std::size_t usable = quietly("malloc_usable_size", [&] { return ::malloc_usable_size(p); });
        require(usable >= b.bytes, "%zu bytes are usable, of %zu", usable, b.bytes);
        const std::size_t natural = b.bytes >= 16 || is_shim ? 16 : 8;
        live_.enter(p, b.bytes, std::max(b.alignment, natural), b.stamp);
        if (!is_hardened) live_blocks::write(p, usable, b.stamp);
    }
    static void require_zero(const void* p, std::size_t bytes) {
        require(live_blocks::is_all(p, bytes, 0), "calloc of %zu bytes gives zeros", bytes);
    }

    void give(bundle& b, std::uint8_t how) {
        for (std::size_t i = 0; i < b.count; ++i) {
            void* const p = b.blocks[how & 0x80 ? b.count - 1 - i : i];
            live_.leave(p, b.bytes, b.stamp);
            quietly("a free", [&] { return deallocate(p, b, how & 0x7F), 0; });
        }
        b.count = 0;
    }

    // By realloc or reallocarray, of which a size too large leaves the block where it is.
    void resize(bundle& b, std::size_t bytes, std::uint8_t how) {
        const family its = family_of(b.how);
        if (b.count == 0 || (its != family::plain && its != family::aligned)) return;
        const std::size_t kept = std::min({b.bytes, bytes, std::size_t{256}});
        for (std::size_t i = 0; i < b.count; ++i) {
            void*& p = b.blocks[i];
            live_.leave(p, b.bytes, b.stamp);
            if (how & 1) {
                require_fails("realloc", ENOMEM, [&] { return std::realloc(p, PTRDIFF_MAX - how); });
                require_fails("reallocarray", ENOMEM, [&] { return ::reallocarray(p, SIZE_MAX / 4, 5); });
                live_blocks::check(p, b.bytes, b.stamp);
            }
            void* const moved =
                quietly("realloc", [&] { return how & 2 ? ::reallocarray(p, 1, bytes) : std::realloc(p, bytes); });
            if (bytes == 0) {
                require(!moved, "realloc to nothing frees");
                continue;
            }
            require(moved, "there is memory");
            require(live_blocks::is_all(moved, kept, b.stamp), "realloc keeps what there is");
            if (bytes >= b.bytes) live_blocks::check(moved, b.bytes, b.stamp);
            p = moved;
        }
        b.how = form::realloc;
        b.alignment = 1;
        b.bytes = bytes;
        if (bytes == 0) b.count = 0;
        for (std::size_t i = 0; i < b.count; ++i) entered(b.blocks[i], b);
    }

    void trim(std::size_t who) {
        const std::size_t keep = in_.one_of(std::array<std::size_t, 4>{0, 1, 5000, SIZE_MAX / 2});
        crew_.run(who, [&] {
            const int did = quietly("malloc_trim", [&] { return ::malloc_trim(keep); });
            require(did == 0 || did == 1, "malloc_trim says whether it did");
        });
    }

    // All other threads rest.
    void audit() {
        std::size_t bytes = 0;
        for (const bundle& b : bundles_) bytes += b.bytes * b.count;
        const auto told = ::mallinfo2();
        require(told.uordblks + told.hblkhd >= bytes, "%zu bytes are in use, of %zu", told.uordblks + told.hblkhd,
                bytes);
    }

    // A child goes on with all blocks and the one thread.
    void fork_once() {
        if (forked_) return;
        forked_ = true;
        const pid_t child = ::fork();
        require(child >= 0, "there is room for a child");
        if (child == 0) {
            ::alarm(120);
            for (bundle& b : bundles_) give(b, 1);
            for (std::size_t i = 0; i < 300; ++i) std::free(std::malloc(i * 50));
            ::malloc_trim(0);
            ::_exit(0);
        }
        int status = 0;
        while (::waitpid(child, &status, 0) < 0) require(errno == EINTR, "the child is there");
        require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child goes on; it ended with %#x", status);
    }

    void mistakes() {
        const std::size_t huge = PTRDIFF_MAX - std::size_t{stamps_}, odd = stamps_ % 2 ? 3 : 24;
        require_fails("malloc", ENOMEM, [&] { return std::malloc(huge); });
        require_fails("calloc", ENOMEM, [&] { return std::calloc(SIZE_MAX / 4, 5); });
        require_fails("aligned_alloc", ENOMEM, [&] { return std::aligned_alloc(64, huge); });
        if (is_shim) require_fails("aligned_alloc", EINVAL, [&] { return std::aligned_alloc(odd, 10); });
        void* p = &p;
        require(::posix_memalign(&p, odd, 10) == EINVAL && p == &p, "posix_memalign refuses an alignment");
        require(::posix_memalign(&p, 64, huge) == ENOMEM && p == &p, "posix_memalign has no memory");
        require(!::operator new(huge, std::nothrow), "new has no memory");
        try {
            static_cast<void>(::operator new[](huge));
            require(false, "new has no memory");
        } catch (const std::bad_alloc&) {
        }
        std::free(nullptr);
        ::operator delete(nullptr);
    }

    bytes& in_;
    live_blocks live_;
    fuzz::crew crew_;
    std::array<bundle, slots> bundles_{};
    std::uint8_t stamps_ = 0;
    bool forked_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bytes in(data, size);
    session(in).run();
    return 0;
}

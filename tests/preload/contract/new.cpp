// All forms of operator new and delete, and the sized frees of C23.
#include <new>

#include "contract.hpp"

using namespace contract;

namespace {

// Installs a new-handler for its lifetime.
class handler_for_now {
public:
    explicit handler_for_now(std::new_handler handler) : before_(std::set_new_handler(handler)) {}
    ~handler_for_now() { std::set_new_handler(before_); }
    handler_for_now(const handler_for_now&) = delete;
    handler_for_now& operator=(const handler_for_now&) = delete;

private:
    std::new_handler before_;
};

// Each form of new, numbered, so that tests can loop over them.
constexpr int forms = 8;
bool is_nothrow(int form) { return form % 2 == 1; }
bool is_aligned_form(int form) { return form >= 4; }
void* take(int form, std::size_t bytes, std::align_val_t alignment = std::align_val_t{64}) {
    switch (form) {
        case 0:
            return ::operator new(bytes);
        case 1:
            return ::operator new(bytes, std::nothrow);
        case 2:
            return ::operator new[](bytes);
        case 3:
            return ::operator new[](bytes, std::nothrow);
        case 4:
            return ::operator new(bytes, alignment);
        case 5:
            return ::operator new(bytes, alignment, std::nothrow);
        case 6:
            return ::operator new[](bytes, alignment);
        default:
            return ::operator new[](bytes, alignment, std::nothrow);
    }
}

// Each form of delete that matches the form of new: plain, sized, nothrow.
constexpr int endings = 3;
void give(int form, int ending, void* p, std::size_t bytes, std::align_val_t alignment = std::align_val_t{64}) {
    switch (form / 2 * 3 + ending) {
        case 0:
            ::operator delete(p);
            break;
        case 1:
            ::operator delete(p, bytes);
            break;
        case 2:
            ::operator delete(p, std::nothrow);
            break;
        case 3:
            ::operator delete[](p);
            break;
        case 4:
            ::operator delete[](p, bytes);
            break;
        case 5:
            ::operator delete[](p, std::nothrow);
            break;
        case 6:
            ::operator delete(p, alignment);
            break;
        case 7:
            ::operator delete(p, bytes, alignment);
            break;
        case 8:
            ::operator delete(p, alignment, std::nothrow);
            break;
        case 9:
            ::operator delete[](p, alignment);
            break;
        case 10:
            ::operator delete[](p, bytes, alignment);
            break;
        default:
            ::operator delete[](p, alignment, std::nothrow);
            break;
    }
}

int handler_calls = 0;

}  // namespace

TEST_CASE("every form of new serves every size, and every form of delete frees it") {
    for (int form = 0; form < forms; ++form)
        for (int ending = 0; ending < endings; ++ending)
            for (const std::size_t bytes : edge_sizes()) {
                CAPTURE(form);
                CAPTURE(ending);
                CAPTURE(bytes);
                const auto [p, error] = with_errno([&] { return take(form, bytes); });
                REQUIRE(p);
                CHECK(error == untouched);
                CHECK(is_aligned(p, is_aligned_form(form) ? 64 : 16));
                CHECK(malloc_usable_size(p) >= bytes);
                fill(p, bytes, 1);
                const auto freed = with_errno([=, block = p] { return give(form, ending, block, bytes), 0; });
                CHECK(freed.error == untouched);
            }
}

TEST_CASE("aligned new honours every power of two, and sized delete frees the blocks") {
    for (std::size_t alignment = 1; alignment <= mib; alignment *= 2)
        for (int form = 4; form < forms; ++form)
            for (const std::size_t bytes :
                 {std::size_t{0}, std::size_t{1}, std::size_t{100}, 5 * kib, 32 * kib, 70 * kib})
                for (int ending = 0; ending < endings; ++ending) {
                    CAPTURE(alignment);
                    CAPTURE(form);
                    CAPTURE(bytes);
                    void* p = take(form, bytes, std::align_val_t{alignment});
                    REQUIRE(p);
                    CHECK(is_aligned(p, alignment));
                    fill(p, bytes, 1);
                    give(form, ending, p, bytes, std::align_val_t{alignment});
                }
}

TEST_CASE("every form of delete ignores null") {
    for (int form = 0; form < forms; ++form)
        for (int ending = 0; ending < endings; ++ending) give(form, ending, nullptr, 100);
}

TEST_CASE("free accepts blocks of new, and delete accepts blocks of malloc") {
    // Programs that mix libraries do this, although it is wrong.
    for (const std::size_t bytes : edge_sizes()) {
        std::free(opaque(::operator new(bytes)));
        ::operator delete(opaque(std::malloc(bytes)));
    }
}

// Checks that the form throws, or returns null if it is nothrow.
void cannot_take(int form, std::size_t bytes) {
    bool thrown = false;
    try {
        CHECK(take(form, opaque(bytes)) == nullptr);
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    CHECK(thrown != is_nothrow(form));
}

TEST_CASE("impossible sizes throw bad_alloc, or return null from nothrow new") {
    for (int form = 0; form < forms; ++form)
        for (const std::size_t bytes : impossible_sizes()) {
            // libstdc++ 12 rounds such sizes up to a multiple of the alignment, which is zero.
            if (is_aligned_form(form) && bytes > ptrdiff_max + 1 && !shim_promises()) continue;
            CAPTURE(form);
            CAPTURE(bytes);
            cannot_take(form, bytes);
        }
}

TEST_CASE("the new-handler is called until it throws or uninstalls itself") {
    struct {
        std::new_handler handler;
        int calls;
    } const ways[] = {
        {[] {
             if (++handler_calls == 5) throw std::bad_alloc();
         },
         5},
        {[] {
             if (++handler_calls == 3) std::set_new_handler(nullptr);
         },
         3},
    };
    for (const auto& way : ways)
        for (int form = 0; form < forms; ++form) {
            CAPTURE(form);
            const handler_for_now now(way.handler);
            handler_calls = 0;
            cannot_take(form, ptrdiff_max);
            CHECK(handler_calls == way.calls);
        }
}

TEST_CASE("the new-handler's own exception reaches the caller") {
    struct full : std::bad_alloc {
        const char* what() const noexcept override { return "full"; }
    };
    const handler_for_now now([] { throw full(); });
    for (const int form : {0, 2, 4, 6}) {
        CAPTURE(form);
        CHECK_THROWS_AS(take(form, opaque(ptrdiff_max)), full);
    }
}

TEST_CASE("a request above every address leaves idle memory where it is") {
    if (!shim_promises()) return;
    std::vector<void*> blocks(20'000);
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = std::malloc(16 + i % 2000);
    for (void* p : blocks) std::free(p);
    const std::size_t idle = mallinfo2().keepcost;
    REQUIRE(idle > mib);
    void* large = std::malloc(100 * kib);
    void* small = std::malloc(100);
    void* out = nullptr;
    for (const std::size_t bytes : impossible_sizes()) {
        CAPTURE(bytes);
        const std::size_t size = opaque(bytes);
        CHECK(std::malloc(size) == nullptr);
        CHECK(std::calloc(1, size) == nullptr);
        CHECK(std::realloc(large, size) == nullptr);
        CHECK(std::realloc(small, size) == nullptr);
        CHECK(aligned_alloc(64, size) == nullptr);
        CHECK(posix_memalign(&out, 64, size) == ENOMEM);
        CHECK(valloc(size) == nullptr);
        CHECK(pvalloc(size) == nullptr);
        for (int form = 0; form < forms; ++form) cannot_take(form, size);
    }
    CHECK(aligned_alloc(opaque(address_space), 1) == nullptr);
    std::free(small);
    std::free(large);
    // A tick may come between, which takes half.
    CHECK(mallinfo2().keepcost > idle / 4);
}

TEST_CASE("malloc does not call the new-handler") {
    const handler_for_now now([] {
        ++handler_calls;
        throw std::bad_alloc();
    });
    handler_calls = 0;
    CHECK(std::malloc(opaque(ptrdiff_max)) == nullptr);
    CHECK(handler_calls == 0);
}

TEST_CASE("new and delete expressions construct and destroy objects") {
    struct alignas(256) wide {
        char bytes[300] = {};
    };
    for (int i = 0; i < 100; ++i) {
        auto* one = opaque(new wide);
        CHECK(is_aligned(one, 256));
        delete one;
        auto* many = opaque(new wide[7]);
        CHECK(is_aligned(many, 256));
        delete[] many;
        auto* plain = opaque(new int[1000]{});
        CHECK(plain[999] == 0);
        delete[] plain;
    }
    const auto too_many = opaque(ptrdiff_max / 4);
    CHECK_THROWS_AS(new double[too_many], std::bad_alloc);
}

TEST_CASE("free_sized accepts blocks of malloc, calloc and realloc, and keeps errno") {
    auto* free_sized_ = by_name<void(void*, std::size_t)>("free_sized");
    CHECK((free_sized_ || !shim_promises()));
    if (!free_sized_) return;
    for (const std::size_t bytes : edge_sizes()) {
        CAPTURE(bytes);
        for (void* p : {std::malloc(bytes), std::calloc(1, bytes), std::realloc(nullptr, bytes)}) {
            const auto freed = with_errno([&] { return free_sized_(p, bytes), 0; });
            CHECK(freed.error == untouched);
        }
    }
    free_sized_(nullptr, 100);
}

TEST_CASE("free_aligned_sized accepts blocks of aligned_alloc and keeps errno") {
    auto* free_aligned_sized_ = by_name<void(void*, std::size_t, std::size_t)>("free_aligned_sized");
    CHECK((free_aligned_sized_ || !shim_promises()));
    if (!free_aligned_sized_) return;
    for (std::size_t alignment = 1; alignment <= mib; alignment *= 2)
        for (const std::size_t bytes : edge_sizes()) {
            CAPTURE(alignment);
            CAPTURE(bytes);
            void* p = aligned_alloc(alignment, bytes);
            const auto freed = with_errno([&] { return free_aligned_sized_(p, alignment, bytes), 0; });
            CHECK(freed.error == untouched);
        }
    free_aligned_sized_(nullptr, 64, 100);
}

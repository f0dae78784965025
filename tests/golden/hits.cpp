// The hits whose instructions tests/golden/compare counts, as a user would write them: of each case N pairs, each block
// taken and given back at once, and then 2 N, with a call of golden_mark() before, between and after.
//
//   tidepool-golden-hits faces|malloc N
//
// Linked at fixed addresses, so that what callgrind saw can be looked up in the disassembly.
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory_resource>
#include <new>

#include <tidepool/tidepool.hpp>

// callgrind writes down what it has counted when this is entered, and begins anew.
extern "C" [[gnu::noinline]] void golden_mark() { asm volatile("" : : : "memory"); }

namespace {

struct block {
    std::byte bytes[64];
};

// The compiler has to believe that the block is used.
inline void use(void* p) { asm volatile("" : : "g"(p) : "memory"); }

// And must not know which resource it calls.
std::pmr::memory_resource* some(std::pmr::memory_resource* resource) {
    asm volatile("" : "+r"(resource));
    return resource;
}

[[gnu::noinline]] void pairs_of_allocator(std::size_t n) {
    tidepool::allocator<block> from;
    for (std::size_t i = 0; i < n; ++i) {
        block* p = from.allocate(1);
        use(p);
        from.deallocate(p, 1);
    }
}

[[gnu::noinline]] void pairs_of_resource(std::pmr::memory_resource* from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from->allocate(sizeof(block));
        use(p);
        from->deallocate(p, sizeof(block));
    }
}

[[gnu::noinline]] void pairs_of_object_pool(tidepool::object_pool<block>& from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        block* p = from.get();
        use(p);
        from.put(p);
    }
}

[[gnu::noinline]] void pairs_of_block_pool(tidepool::block_pool& from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from.allocate();
        use(p);
        from.deallocate(p);
    }
}

[[gnu::noinline]] void pairs_of_malloc(std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = std::malloc(bytes);
        use(p);
        std::free(p);
    }
}

[[gnu::noinline]] void pairs_of_new(std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = ::operator new(bytes);
        use(p);
        ::operator delete(p);
    }
}

[[gnu::noinline]] void pairs_of_sized_new(std::size_t bytes, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = ::operator new(bytes);
        use(p);
        ::operator delete(p, bytes);
    }
}

[[gnu::noinline]] void frees_of_null(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = nullptr;
        asm volatile("" : "+r"(p));
        std::free(p);
    }
}

template <class Pairs>
void count(const char* name, std::size_t n, Pairs pairs) {
    // Until the clock has been seen to move so often that all hits are granted that there can be.
    auto seen = std::chrono::steady_clock::now();
    for (int moves = 0; moves < 20; pairs(std::size_t{1000}))
        if (const auto now = std::chrono::steady_clock::now(); now - seen > std::chrono::milliseconds(4)) {
            seen = now;
            ++moves;
        }
    std::puts(name);
    golden_mark();
    pairs(n);
    golden_mark();
    pairs(2 * n);
    golden_mark();
}

void count_faces(std::size_t n) {
    count("allocator", n, pairs_of_allocator);
    tidepool::pool_resource resource;
    count("pool_resource", n, [&](std::size_t k) { pairs_of_resource(some(&resource), k); });
    tidepool::object_pool<block> objects;
    count("object_pool", n, [&](std::size_t k) { pairs_of_object_pool(objects, k); });
    tidepool::block_pool blocks(sizeof(block));
    count("block_pool", n, [&](std::size_t k) { pairs_of_block_pool(blocks, k); });
}

// One block of the size stays in use, as in a program others of its size would.
void count_malloc(std::size_t n) {
    struct {
        const char* name;
        std::size_t bytes;
    } const sizes[] = {{"malloc-64", 64}, {"malloc-2000", 2000}, {"malloc-32768", 32768}};
    for (const auto& size : sizes) {
        void* other = std::malloc(size.bytes);
        use(other);
        count(size.name, n, [&](std::size_t k) { pairs_of_malloc(size.bytes, k); });
        std::free(other);
    }
    void* other = ::operator new(64);
    use(other);
    count("new-64", n, [](std::size_t k) { pairs_of_new(64, k); });
    count("new-sized-64", n, [](std::size_t k) { pairs_of_sized_new(64, k); });
    ::operator delete(other);
    count("free-null", n, frees_of_null);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t n = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
    if (n != 0 && std::strcmp(argv[1], "faces") == 0) {
        count_faces(n);
    } else if (n != 0 && std::strcmp(argv[1], "malloc") == 0) {
        count_malloc(n);
    } else {
        std::fputs("usage: tidepool-golden-hits faces|malloc N\n", stderr);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

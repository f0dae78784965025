// tidepool-instructions CASE N: N pairs of 64 bytes, each block taken and given back at once, as a user would write it.
// bench/instructions runs it under callgrind for two N; the difference is what a pair costs in instructions.
//
// Linked at fixed addresses, so that what callgrind saw can be looked up in the disassembly.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory_resource>

#include <tidepool/tidepool.hpp>

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

[[gnu::noinline]] void pairs_allocator(std::size_t n) {
    tidepool::allocator<block> from;
    for (std::size_t i = 0; i < n; ++i) {
        block* p = from.allocate(1);
        use(p);
        from.deallocate(p, 1);
    }
}

[[gnu::noinline]] void pairs_resource(std::pmr::memory_resource* from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from->allocate(sizeof(block));
        use(p);
        from->deallocate(p, sizeof(block));
    }
}

[[gnu::noinline]] void pairs_object_pool(tidepool::object_pool<block>& from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        block* p = from.get();
        use(p);
        from.put(p);
    }
}

[[gnu::noinline]] void pairs_block_pool(tidepool::block_pool& from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        void* p = from.allocate();
        use(p);
        from.deallocate(p);
    }
}

bool run(const char* name, std::size_t n) {
    const auto is = [name](const char* other) { return std::strcmp(name, other) == 0; };
    if (is("allocator")) {
        pairs_allocator(n);
    } else if (is("pool_resource")) {
        tidepool::pool_resource pool;
        pairs_resource(some(&pool), n);
    } else if (is("object_pool")) {
        tidepool::object_pool<block> pool;
        pairs_object_pool(pool, n);
    } else if (is("block_pool")) {
        tidepool::block_pool pool(sizeof(block));
        pairs_block_pool(pool, n);
    } else if (is("new_delete_resource")) {
        pairs_resource(some(std::pmr::new_delete_resource()), n);
    } else {
        return false;
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && run(argv[1], std::strtoull(argv[2], nullptr, 10))) return EXIT_SUCCESS;
    std::fputs(
        "usage: tidepool-instructions CASE N\n"
        "N pairs of 64 bytes; CASE: allocator pool_resource object_pool block_pool new_delete_resource\n",
        stderr);
    return EXIT_FAILURE;
}

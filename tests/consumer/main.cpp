// Uses each face once, with the public headers only.
#include <tidepool/tidepool.hpp>

#include <cstdio>
#include <cstring>
#include <list>
#include <memory>
#include <memory_resource>
#include <string>
#include <vector>

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "failed: %s\n", what);
    ++failures;
}

void pmr_containers() {
    tidepool::pool_resource pool;
    {
        std::pmr::vector<std::pmr::string> words(&pool);
        for (int i = 0; i < 1000; ++i) words.emplace_back(std::to_string(i) + " is too long for the string itself");
        expect(words.size() == 1000 && words[999] == "999 is too long for the string itself",
               "pool_resource: contents");
        expect(pool.stats().bytes_in_use > 0, "pool_resource: in use");
    }
    expect(pool.stats().bytes_in_use == 0, "pool_resource: everything came back");
}

void standard_allocators() {
    std::list<int, tidepool::allocator<int>> numbers;
    for (int i = 0; i < 1000; ++i) numbers.push_back(i);
    expect(numbers.back() == 999, "allocator: contents");

    const auto shared = std::allocate_shared<std::string>(tidepool::allocator<std::string>(), "shared");
    expect(*shared == "shared", "allocator: allocate_shared");

    tidepool::pool_resource pool;
    std::vector<int, tidepool::pool_allocator<int>> own(pool);
    own.assign(1000, 7);
    expect(own.back() == 7 && pool.stats().bytes_in_use > 0, "pool_allocator: contents");
}

void objects() {
    tidepool::object_pool pool([] { return std::string(4096, ' '); }, [](std::string& s) { s.clear(); });
    {
        const auto buffer = pool.borrow();
        buffer->assign("something");
    }
    const auto again = pool.borrow();
    expect(again->empty(), "object_pool: reset");
}

void blocks() {
    tidepool::block_pool pool(100);
    void* block = pool.allocate();
    std::memset(block, 0x11, pool.block_bytes());
    pool.deallocate(block);
    expect(pool.block_bytes() >= 100 && pool.stats().blocks_in_use == 0, "block_pool: came back");
    pool.trim();
    tidepool::tick();
}

}  // namespace

int main() {
    pmr_containers();
    standard_allocators();
    objects();
    blocks();
    return failures == 0 ? 0 : 1;
}

// Compiled without exceptions, as programs are that have none: every header can be included, every face used.
#include <tidepool/decorators.hpp>
#include <tidepool/tidepool.hpp>
#include <tidepool/upstream_from.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <vector>

namespace {

TEST_CASE("programs without exceptions use every face") {
#if defined(__cpp_exceptions)
    FAIL("compiled with exceptions");
#endif
    tidepool::allocator_upstream<std::allocator<char>> from;
    tidepool::pool_resource pool(from);
    std::pmr::vector<int> values({1, 2, 3}, &pool);
    CHECK(pool.stats().blocks_in_use == 1);
    const std::vector<int, tidepool::allocator<int>> stateless({1, 2, 3});
    const std::vector<int, tidepool::pool_allocator<int>> stateful({1, 2, 3}, pool);
    CHECK(pool.stats().blocks_in_use == 2);
    tidepool::block_pool blocks(64);
    blocks.deallocate(blocks.allocate());
    tidepool::object_pool objects([] { return 7; });
    CHECK(*objects.borrow() == 7);
}

}  // namespace

// Tests allocator and pool_allocator against the allocator requirements of the standard.
#include <tidepool/allocator.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "counting_upstream.hpp"
#include "held_blocks.hpp"
#include "setups.hpp"

namespace {

using namespace conformance;
using support::counting_upstream;
using tidepool::allocator;
using tidepool::pool_allocator;
using tidepool::pool_resource;

template <std::size_t Alignment>
struct alignas(Alignment) aligned_value {
    std::uint32_t value;
};

// The requirements on an allocator of T that can be checked at compile time.
template <template <class> class Allocator, class T>
constexpr bool meets_the_tables() {
    using here = Allocator<T>;
    using there = Allocator<std::pair<T, char>>;
    using traits = std::allocator_traits<here>;
    static_assert(std::is_same_v<typename traits::value_type, T>);
    static_assert(std::is_same_v<typename traits::pointer, T*>);
    static_assert(std::is_same_v<typename traits::size_type, std::size_t>);
    static_assert(std::is_same_v<typename traits::template rebind_alloc<std::pair<T, char>>, there>);
    static_assert(std::is_nothrow_copy_constructible_v<here> && std::is_nothrow_move_constructible_v<here>);
    static_assert(std::is_nothrow_copy_assignable_v<here> && std::is_nothrow_move_assignable_v<here>);
    static_assert(std::is_nothrow_constructible_v<here, const there&>);
    static_assert(std::is_convertible_v<const there&, here>);
    static_assert(noexcept(std::declval<const here&>() == std::declval<const here&>()));
    static_assert(noexcept(std::declval<here&>().deallocate(nullptr, 1)));
    return true;
}
static_assert(meets_the_tables<allocator, int>() && meets_the_tables<allocator, std::string>());
static_assert(meets_the_tables<pool_allocator, int>() && meets_the_tables<pool_allocator, aligned_value<4096>>());

using stateless = std::allocator_traits<allocator<int>>;
static_assert(stateless::is_always_equal::value && std::is_empty_v<allocator<int>>);
static_assert(stateless::propagate_on_container_move_assignment::value);
static_assert(std::is_nothrow_default_constructible_v<allocator<int>>);

using stateful = std::allocator_traits<pool_allocator<int>>;
static_assert(!stateful::is_always_equal::value && std::is_default_constructible_v<pool_allocator<int>>);
static_assert(!stateful::propagate_on_container_copy_assignment::value);
static_assert(stateful::propagate_on_container_move_assignment::value);
static_assert(stateful::propagate_on_container_swap::value);
static_assert(std::is_convertible_v<pool_resource&, pool_allocator<int>>);
static_assert(std::is_convertible_v<pool_resource*, pool_allocator<int>>);

TEST_CASE("allocators are equal if and only if each can free the other's blocks") {
    pool_resource one, other;
    CHECK(allocator<int>() == allocator<int>());
    CHECK(allocator<int>() == allocator<double>());
    CHECK_FALSE(allocator<int>() != allocator<double>());
    CHECK(pool_allocator<int>(one) == pool_allocator<int>(one));
    CHECK(pool_allocator<int>(one) != pool_allocator<int>(other));
    CHECK(pool_allocator<int>(one) == pool_allocator<double>(one));
    CHECK(pool_allocator<int>(one) != pool_allocator<double>(other));

    pool_allocator<double> of_doubles(one);
    pool_allocator<int> of_ints = of_doubles;
    CHECK(&of_ints.resource() == &one);
    CHECK(pool_allocator<double>(of_ints) == of_doubles);
    int* p = of_ints.allocate(3);
    pool_allocator<int>(of_doubles).deallocate(p, 3);
    CHECK(one.stats().blocks_in_use == 0);
    CHECK(other.stats() == tidepool::stats{});
}

TEST_CASE("a pool_allocator is made of nothing, of a pool or of its address") {
    pool_resource pool;
    CHECK(&pool_allocator<int>().resource() == &tidepool::default_pool());
    CHECK(pool_allocator<int>(&pool) == pool_allocator<int>(pool));
    const pool_allocator deduced(pool), of_address(&pool), by_default;
    CHECK(deduced == of_address);
    CHECK(deduced != by_default);
    const std::vector<int, pool_allocator<int>> values({1, 2, 3}, &pool);
    CHECK(values.get_allocator() == deduced);
    CHECK(pool.stats().blocks_in_use == 1);
}

// Allocates arrays of T of many lengths, writes to all of them, and frees them.
template <class T, class Allocator>
void use_arrays(Allocator from) {
    held_blocks held;
    for (const std::size_t n : {1U, 2U, 3U, 10U, 100U, 1000U, 40'000U})
        held.hold(from.allocate(n), n * sizeof(T), alignof(T));
    held.give_back_with([&](const held_blocks::block& b) {
        from.deallocate(static_cast<T*>(static_cast<void*>(b.p)), b.bytes / sizeof(T));
    });
}

TEST_CASE_TEMPLATE("arrays of any length have the alignment of their type", T, char, std::uint64_t, std::string,
                   aligned_value<32>, aligned_value<64>, aligned_value<4096>, aligned_value<8192>) {
    counting_upstream upstream;
    const std::uint64_t before = tidepool::default_pool().stats().blocks_in_use;
    use_arrays<T>(allocator<T>());
    CHECK(tidepool::default_pool().stats().blocks_in_use == before);
    {
        pool_resource pool(hand_ticked(), upstream);
        use_arrays<T>(pool_allocator<T>(pool));
        CHECK(pool.stats().blocks_in_use == 0);
        CHECK(pool.stats().large_blocks == 0);
    }
    CHECK(upstream.balanced());
}

TEST_CASE("large blocks of a pool_allocator come from its pool") {
    tidepool::pool_options options = hand_ticked();
    options.largest_required_pool_block = 256;
    pool_resource pool(options);
    pool_allocator<std::uint64_t> from(pool);
    std::uint64_t* small = from.allocate(32);
    std::uint64_t* large = from.allocate(33);
    CHECK(pool.stats().blocks_in_use == 1);
    CHECK(pool.stats().large_bytes == 33 * sizeof(std::uint64_t));
    pool.deallocate(small, 32 * sizeof(std::uint64_t), alignof(std::uint64_t));  // both use the same memory
    pool.deallocate(large, 33 * sizeof(std::uint64_t), alignof(std::uint64_t));
    CHECK(pool.stats().large_blocks == 0);
}

template <class Allocator>
void check_overflow(Allocator from) {
    // Volatile, since the compiler would warn about constants.
    volatile std::size_t hidden_max = std::numeric_limits<std::size_t>::max();
    const std::size_t size_max = hidden_max;
    constexpr std::size_t each = sizeof(typename Allocator::value_type);
    void* p = nullptr;
    for (const std::size_t n : {size_max, size_max - 1, size_max / 2, size_max / each + 1}) {
        CAPTURE(n);
        CHECK_THROWS_AS(p = from.allocate(n), std::bad_array_new_length);
    }
    CHECK_THROWS_AS(p = from.allocate(size_max / each), std::bad_alloc);
    CHECK_THROWS_AS(p = from.allocate(size_max / each / 2), std::bad_alloc);
    CHECK(p == nullptr);
}

TEST_CASE("overflow throws bad_array_new_length, lack of memory throws bad_alloc") {
    pool_resource pool;
    check_overflow(allocator<std::uint64_t>());
    check_overflow(pool_allocator<std::uint64_t>(pool));
    check_overflow(allocator<aligned_value<8192>>());
    check_overflow(pool_allocator<aligned_value<4096>>(pool));
}

TEST_CASE("a pool_allocator without memory throws bad_alloc") {
    counting_upstream upstream;
    pool_resource pool(hand_ticked(), upstream);
    upstream.fail_from(1);
    int* p = nullptr;
    CHECK_THROWS_AS(p = pool_allocator<int>(pool).allocate(4), std::bad_alloc);
    CHECK_THROWS_AS(p = pool_allocator<int>(pool).allocate(40'000), std::bad_alloc);
    CHECK(p == nullptr);
}

TEST_CASE("deallocating a null pointer through an allocator does nothing") {
    pool_resource pool(hand_ticked());
    for (const std::size_t n : {0U, 1U, 10U, 40'000U}) pool_allocator<int>(pool).deallocate(nullptr, n);
    CHECK(pool.stats() == tidepool::stats{});
    int* block = allocator<int>().allocate(10);
    const tidepool::stats before = tidepool::default_pool().stats();
    for (const std::size_t n : {0U, 1U, 10U, 40'000U}) allocator<int>().deallocate(nullptr, n);
    CHECK(tidepool::default_pool().stats() == before);
    allocator<int>().deallocate(block, 10);
}

template <class Allocator>
void share(Allocator from) {
    auto lone = std::allocate_shared<std::string>(from, 100, 'x');
    std::weak_ptr<std::string> watcher = lone;
    {
        auto second = lone;
        lone.reset();
        CHECK(second->size() == 100);
    }
    CHECK(watcher.expired());
    watcher.reset();
    auto aligned = std::allocate_shared<aligned_value<64>>(from);
    CHECK(is_aligned(aligned.get(), 64));
    auto array = std::allocate_shared<int[]>(from, 1000, 7);
    CHECK(array[999] == 7);
}

TEST_CASE("allocate_shared works with both allocators") {
    const std::uint64_t before = tidepool::default_pool().stats().blocks_in_use;
    share(allocator<char>());
    CHECK(tidepool::default_pool().stats().blocks_in_use == before);
    pool_resource pool(hand_ticked());
    share(pool_allocator<char>(pool));
    CHECK(pool.stats().blocks_in_use == 0);
    CHECK(pool.stats().refilled_blocks > 0);
}

TEST_CASE("the stateless allocator uses one process-wide pool over mmap") {
    CHECK(&tidepool::default_pool() == &tidepool::default_pool());
    CHECK(std::string(tidepool::default_pool().upstream().name()) == tidepool::pages_upstream().name());
    const std::uint64_t before = tidepool::default_pool().stats().blocks_in_use;
    int* p = allocator<int>().allocate(1);
    CHECK(tidepool::default_pool().stats().blocks_in_use == before + 1);
    tidepool::default_pool().deallocate(p, sizeof(int), alignof(int));
    CHECK(tidepool::default_pool().stats().blocks_in_use == before);
}

TEST_CASE("containers move storage between equal allocators, else elements") {
    pool_resource one(hand_ticked()), other(hand_ticked());
    std::vector<int, pool_allocator<int>> from(100, 7, one);
    const int* storage = from.data();
    std::vector<int, pool_allocator<int>> same(std::move(from), one);
    CHECK(same.data() == storage);
    std::vector<int, pool_allocator<int>> different(std::move(same), other);
    CHECK(different.data() != storage);
    CHECK(different == std::vector<int, pool_allocator<int>>(100, 7, one));
    CHECK(other.stats().blocks_in_use == 1);

    std::list<int, pool_allocator<int>> left({1, 2, 3}, one), right({4}, other);
    left.swap(right);  // the allocators are swapped, too
    CHECK(left.get_allocator() == pool_allocator<int>(other));
    CHECK(right.size() == 3);
    right = std::move(left);
    CHECK(right.get_allocator() == pool_allocator<int>(other));
    right = std::list<int, pool_allocator<int>>({5, 6}, one);
    const auto copy = right;
    CHECK(copy == right);
    left = copy;  // copy assignment keeps the target's allocator
    CHECK(left.get_allocator() == pool_allocator<int>(other));
}

}  // namespace

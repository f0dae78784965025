// Standard containers of every kind, with each of the three ways to give them a pool.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <scoped_allocator>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/pool_resource.hpp>

#include "counting_upstream.hpp"
#include "reach.hpp"
#include "setups.hpp"
#include "threads.hpp"
#include "worker.hpp"

namespace {

using namespace conformance;
using tidepool::pool_resource;

// Each way to give containers a pool: the allocator type for T, an allocator, and its pool.
struct by_polymorphic_allocator {
    template <class T>
    using allocator = std::pmr::polymorphic_allocator<T>;
    pool_resource own{hand_ticked()};
    allocator<char> source() { return &own; }
    pool_resource& pool() { return own; }
};

struct by_pool_allocator {
    template <class T>
    using allocator = tidepool::pool_allocator<T>;
    pool_resource own{hand_ticked()};
    allocator<char> source() { return own; }
    pool_resource& pool() { return own; }
};

struct by_default_allocator {
    template <class T>
    using allocator = tidepool::allocator<T>;
    allocator<char> source() { return {}; }
    pool_resource& pool() { return tidepool::default_pool(); }
};

#define TIDEPOOL_TEST_WAYS by_polymorphic_allocator, by_pool_allocator, by_default_allocator

// Every kind of container, with the allocator that A selects.
template <template <class> class A>
struct kinds {
    using string = std::basic_string<char, std::char_traits<char>, A<char>>;
    template <class Key, class Value>
    using pair_allocator = A<std::pair<const Key, Value>>;

    template <class Visit>
    static void visit_all(Visit visit) {
        visit.template operator()<std::vector<int, A<int>>>();
        visit.template operator()<std::vector<bool, A<bool>>>();
        visit.template operator()<std::deque<int, A<int>>>();
        visit.template operator()<std::list<int, A<int>>>();
        visit.template operator()<std::forward_list<int, A<int>>>();
        visit.template operator()<string>();
        visit.template operator()<std::set<int, std::less<>, A<int>>>();
        visit.template operator()<std::multiset<int, std::less<>, A<int>>>();
        visit.template operator()<std::map<int, int, std::less<>, pair_allocator<int, int>>>();
        visit.template operator()<std::multimap<int, int, std::less<>, pair_allocator<int, int>>>();
        visit.template operator()<std::unordered_set<int, std::hash<int>, std::equal_to<>, A<int>>>();
        visit.template operator()<std::unordered_multiset<int, std::hash<int>, std::equal_to<>, A<int>>>();
        visit.template
        operator()<std::unordered_map<int, int, std::hash<int>, std::equal_to<>, pair_allocator<int, int>>>();
        visit.template
        operator()<std::unordered_multimap<int, int, std::hash<int>, std::equal_to<>, pair_allocator<int, int>>>();
    }
};

// The i-th value; keys repeat, so that sets and multisets differ.
template <class Value>
Value value_of(int i) {
    if constexpr (requires { typename Value::first_type; })
        return {i % 1000, i};
    else
        return static_cast<Value>(i % 1000);
}

template <class Container>
void add(Container& to, int first, int last) {
    using value = typename Container::value_type;
    for (int i = first; i < last; ++i) {
        if constexpr (requires { to.push_back(value_of<value>(i)); })
            to.push_back(value_of<value>(i));
        else if constexpr (requires { to.push_front(value_of<value>(i)); })
            to.push_front(value_of<value>(i));
        else
            to.insert(value_of<value>(i));
    }
}

// Frees part of the storage, in a pattern of holes.
template <class Container>
void erase_some(Container& from) {
    std::erase_if(from, [](const auto& each) {
        if constexpr (requires { each.second; })
            return each.second % 3 == 0;
        else
            return static_cast<int>(each) % 3 == 0;
    });
}

// Builds, copies, moves, swaps, thins out, refills and empties containers. Returns one that went through all of it.
template <class Container, class Source>
Container go_through_everything(const Source& source) {
    const typename Container::allocator_type allocator(source);
    Container first(allocator), second(allocator);
    add(first, 0, 2500);
    add(second, 2500, 2600);
    const Container copy_of_first(first, allocator), copy_of_second(second, allocator);
    CHECK((copy_of_first == first));

    std::swap(first, second);
    CHECK((first == copy_of_second));
    CHECK((second == copy_of_first));
    Container moved(std::move(second));
    CHECK((moved == copy_of_first));
    second = std::move(moved);
    CHECK((second == copy_of_first));
    first = second;
    CHECK((first == second));

    erase_some(first);
    add(first, 100, 3000);
    second.clear();
    add(second, 5000, 5010);
    Container last(allocator);
    last.swap(first);
    return last;
}

// The result must equal that of std::allocator.
template <class Container>
struct in_standard_memory;
template <template <class...> class C, class... Arguments>
struct in_standard_memory<C<Arguments...>> {
    template <class T>
    struct swapped {
        using type = T;
    };
    template <class T>
    requires requires(T a) { a.allocate(std::size_t{1}); }
    struct swapped<T> {
        using type = std::allocator<typename T::value_type>;
    };
    using type = C<typename swapped<Arguments>::type...>;
};

TEST_CASE_TEMPLATE("every container behaves as over standard memory and returns all of it", Way, TIDEPOOL_TEST_WAYS) {
    Way way;
    const std::uint64_t before = way.pool().stats().blocks_in_use;
    kinds<Way::template allocator>::visit_all([&]<class Container>() {
        using control = typename in_standard_memory<Container>::type;
        const control expected = go_through_everything<control>(std::allocator<char>());
        const Container got = go_through_everything<Container>(way.source());
        CHECK(std::distance(got.begin(), got.end()) == std::distance(expected.begin(), expected.end()));
        CHECK(std::is_permutation(got.begin(), got.end(), expected.begin()));
    });
    if (support::others_in_reach()) CHECK(way.pool().stats().blocks_in_use == before);
    CHECK(way.pool().stats().large_blocks == 0);
}

TEST_CASE_TEMPLATE("containers may be built, swapped, grown and destroyed by different threads", Way,
                   TIDEPOOL_TEST_WAYS) {
    Way way;
    const std::uint64_t before = way.pool().stats().blocks_in_use;
    support::worker one, other, third;
    kinds<Way::template allocator>::visit_all([&]<class Container>() {
        const typename Container::allocator_type allocator(way.source());
        auto left = std::make_unique<Container>(allocator), right = std::make_unique<Container>(allocator);
        one.start([&] { add(*left, 0, 1500); });
        other.start([&] { add(*right, 1500, 3000); });
        one.wait();
        other.wait();
        left->swap(*right);
        Container moved(std::move(*left));
        one.start([&] { add(moved, 3000, 4000); });
        other.start([&] { erase_some(*right); });
        one.wait();
        other.wait();
        *left = std::move(moved);
        CHECK_FALSE(left->empty());
        CHECK_FALSE(right->empty());
        third.run([&] {
            left.reset();
            right.reset();
        });
    });
    if (support::others_in_reach()) CHECK(way.pool().stats().blocks_in_use == before);
    CHECK(way.pool().stats().large_blocks == 0);
}

TEST_CASE_TEMPLATE("threads fill and destroy containers over one pool concurrently", Way, TIDEPOOL_TEST_WAYS) {
    Way way;
    const std::uint64_t before = way.pool().stats().blocks_in_use;
    support::on_threads(4, [&](std::size_t) {
        kinds<Way::template allocator>::visit_all([&]<class Container>() {
            Container filled(typename Container::allocator_type(way.source()));
            add(filled, 0, 1000);
            erase_some(filled);
        });
    });
    if (support::others_in_reach()) CHECK(way.pool().stats().blocks_in_use == before);
}

TEST_CASE("nested pmr containers allocate everything from the pool") {
    support::counting_resource upstream;
    {
        pool_resource pool(hand_ticked(), &upstream);
        // Fails if anything bypasses the pool.
        std::pmr::memory_resource* const usual = std::pmr::set_default_resource(std::pmr::null_memory_resource());
        {
            using index = std::pmr::unordered_map<std::pmr::string, std::pmr::list<std::pmr::vector<std::uint32_t>>>;
            index words(&pool);
            for (std::uint32_t i = 0; i < 5000; ++i) {
                std::pmr::string word("a word of a length that needs memory ", &pool);
                word += std::to_string(i % 700);
                auto& positions = words[word];
                if (i % 3 == 0 || positions.empty()) positions.emplace_back();
                positions.back().push_back(i);
            }
            index moved(std::move(words));
            CHECK(moved.size() == 700);
            std::pmr::vector<index> several(&pool);
            several.push_back(moved);
            several.push_back(std::move(moved));
            CHECK(several[0] == several[1]);
            CHECK(several[0].get_allocator().resource() == &pool);
            CHECK(several[0].begin()->second.front().get_allocator().resource() == &pool);
        }
        std::pmr::set_default_resource(usual);
        CHECK(pool.stats().blocks_in_use == 0);
        CHECK(pool.stats().large_blocks == 0);
    }
    CHECK(upstream.books.balanced());
}

TEST_CASE("a scoped allocator passes the pool on to the elements") {
    pool_resource pool(hand_ticked());
    using text = std::basic_string<char, std::char_traits<char>, tidepool::pool_allocator<char>>;
    std::vector<text, std::scoped_allocator_adaptor<tidepool::pool_allocator<text>>> lines(pool);
    for (std::size_t i = 0; i < 100; ++i) lines.emplace_back(100 + i, 'x');
    CHECK(lines.back().get_allocator() == tidepool::pool_allocator<char>(pool));
    CHECK(pool.stats().blocks_in_use == 101);
}

}  // namespace

// object_pool: Go's Get, Put and New with constructors, destructors and exceptions.
#include <tidepool/object_pool.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "calm.hpp"
#include "held_blocks.hpp"
#include "setups.hpp"

namespace {

using namespace conformance;
using tidepool::object_pool;

struct census {
    int made = 0, destroyed = 0;
    int alive() const { return made - destroyed; }
};

// Can be neither copied nor moved, and is counted.
class citizen {
public:
    explicit citizen(census& counted) : census_(counted) { ++census_.made; }
    citizen(const citizen&) = delete;
    citizen& operator=(const citizen&) = delete;
    ~citizen() { ++census_.destroyed; }

    int value = 0;

private:
    census& census_;
};

// A pool of citizens with the given reset, which ages by explicit ticks only.
template <class Reset = tidepool::no_reset>
auto make_pool(census& counted, Reset reset = {}, std::size_t magazine_capacity = 1) {
    const auto factory = [&counted] { return citizen(counted); };
    return std::make_unique<object_pool<citizen, decltype(factory), Reset>>(factory, reset,
                                                                            hand_ticked_objects(magazine_capacity));
}

template <class Pool>
std::vector<citizen*> get(Pool& pool, std::size_t count) {
    std::vector<citizen*> all(count);
    for (citizen*& each : all) each = pool.get();
    return all;
}

template <class Pool>
void put(Pool& pool, const std::vector<citizen*>& all) {
    for (citizen* each : all) pool.put(each);
}

TEST_CASE("try_get on an empty pool returns null and constructs nothing") {
    census counted;
    const auto pool = make_pool(counted);
    CHECK(pool->try_get() == nullptr);
    CHECK(counted.made == 0);
}

TEST_CASE("get constructs an object only on a miss") {
    const support::calm quiet;
    census counted;
    const auto pool = make_pool(counted);
    citizen* first = pool->get();
    CHECK(counted.made == 1);
    citizen* second = pool->get();
    CHECK(counted.made == 2);
    CHECK(first != second);
    pool->put(first);
    CHECK(pool->get() == first);
    CHECK(counted.made == 2);
    pool->put(first);
    pool->put(second);
    CHECK(counted.destroyed == 0);
}

TEST_CASE("get returns the same set of objects that was put, for any capacity") {
    const support::calm quiet;
    for (const std::size_t capacity : {1U, 2U, 8U, 256U}) {
        CAPTURE(capacity);
        census counted;
        const auto pool = make_pool(counted, tidepool::no_reset{}, capacity);
        for (int round = 0; round < 3; ++round) {
            const std::vector<citizen*> out = get(*pool, 1000);
            const std::set<citizen*> before(out.begin(), out.end());
            CHECK(before.size() == out.size());
            put(*pool, out);
            std::set<citizen*> after;
            while (citizen* each = pool->try_get()) after.insert(each);
            CHECK(after == before);
            CHECK(counted.made == 1000);
            CHECK(counted.destroyed == 0);
            put(*pool, {after.begin(), after.end()});
        }
    }
}

TEST_CASE("without a reset, objects keep their contents") {
    const support::calm quiet;
    census counted;
    const auto pool = make_pool(counted);
    citizen* one = pool->get();
    one->value = 7;
    pool->put(one);
    one = pool->get();
    CHECK(one->value == 7);
    pool->put(one);
}

TEST_CASE("idle objects survive one tick, and none survives two") {
    const support::calm quiet;
    census counted;
    const auto pool = make_pool(counted);
    put(*pool, get(*pool, 100));
    pool->tick();
    CHECK(counted.destroyed == 0);
    pool->tick();
    CHECK(counted.destroyed == 100);
}

TEST_CASE("every idle object is destroyed exactly once") {
    for (const std::size_t capacity : {1U, 8U}) {
        census counted;
        auto pool = make_pool(counted, tidepool::no_reset{}, capacity);
        put(*pool, get(*pool, 300));
        pool->trim(200);
        pool->tick();
        const std::vector<citizen*> out = get(*pool, 50);
        pool->tick();
        put(*pool, out);
        put(*pool, get(*pool, 70));
        CHECK(counted.alive() > 0);
        pool.reset();
        CHECK(counted.alive() == 0);
    }
}

TEST_CASE("trim keeps the requested number of objects and returns how many it destroyed") {
    const support::calm quiet;
    census counted;
    const auto pool = make_pool(counted);
    put(*pool, get(*pool, 100));
    // A number of objects whose bytes would overflow still means all.
    for (const std::size_t all : {std::size_t{100}, std::numeric_limits<std::size_t>::max(),
                                  std::numeric_limits<std::size_t>::max() / sizeof(citizen) + 1})
        CHECK(pool->trim(all) == 0);
    CHECK(pool->trim(40) == 60);
    CHECK(counted.destroyed == 60);
    CHECK(pool->stats().blocks_cached == 40);
    CHECK(pool->trim() == 40);
    CHECK(counted.alive() == 0);
}

TEST_CASE("put beyond local_objects_max destroys the object") {
    census counted;
    const auto factory = [&counted] { return citizen(counted); };
    object_pool<citizen, decltype(factory)> pool(
        factory, {}, {.magazine_capacity = 1, .local_objects_max = 10, .decay_interval = std::chrono::milliseconds(0)});
    put(pool, get(pool, 100));
    CHECK(counted.alive() <= 12);  // ten, and two in the private magazines
    CHECK(pool.stats().blocks_cached == static_cast<std::size_t>(counted.alive()));
}

TEST_CASE("put calls the reset with the object") {
    const support::calm quiet;
    census counted;
    int resets = 0;
    const auto pool = make_pool(counted, [&resets](citizen& each) {
        ++resets;
        each.value = 0;
    });
    citizen* one = pool->get();
    CHECK(resets == 0);
    one->value = 7;
    pool->put(one);
    CHECK(resets == 1);
    CHECK(pool->try_get() == one);
    CHECK(one->value == 0);
    pool->put(one);
    pool->put(nullptr);
    CHECK(resets == 2);
}

TEST_CASE("an object that the reset rejects is destroyed") {
    const support::calm quiet;
    census counted;
    const auto pool = make_pool(counted, [](const citizen& each) { return each.value < 10; });
    citizen* small = pool->get();
    citizen* large = pool->get();
    large->value = 10;
    pool->put(large);
    CHECK(counted.destroyed == 1);
    CHECK(pool->try_get() == nullptr);
    pool->put(small);
    CHECK(pool->try_get() == small);
    pool->put(small);
    CHECK(counted.alive() == 1);
}

TEST_CASE("an exception of the reset destroys the object; put rethrows, a handle does not") {
    const support::calm quiet;
    census counted;
    bool willing = false;
    const auto pool = make_pool(counted, [&willing](citizen&) {
        if (!willing) throw std::runtime_error("not today");
    });
    CHECK_THROWS_WITH_AS(pool->put(pool->get()), "not today", std::runtime_error);
    CHECK(counted.alive() == 0);
    CHECK_NOTHROW(pool->borrow().reset());
    CHECK(counted.made == 2);
    CHECK(counted.alive() == 0);

    willing = true;
    pool->borrow().reset();
    CHECK(counted.alive() == 1);
    CHECK(pool->stats().blocks_cached == 1);
}

TEST_CASE("a factory that throws leaks nothing and leaves the pool unchanged") {
    const support::calm quiet;
    census counted;
    bool willing = false;
    object_pool pool(
        [&] {
            if (!willing) throw std::runtime_error("out of stock");
            return citizen(counted);
        },
        tidepool::no_reset{}, hand_ticked_objects());
    CHECK_THROWS_WITH_AS(pool.put(pool.get()), "out of stock", std::runtime_error);
    CHECK_THROWS_AS(pool.borrow().reset(), std::runtime_error);
    CHECK(pool.stats().blocks_in_use == 0);
    willing = true;
    pool.put(pool.get());
    willing = false;
    pool.put(pool.get());  // a hit
    CHECK(counted.made == 1);
}

TEST_CASE("a handle owns one object, can be moved, and returns it once") {
    const support::calm quiet;
    census counted;
    const auto pool = make_pool(counted);
    using handle = std::remove_cvref_t<decltype(*pool)>::handle;
    static_assert(std::is_nothrow_move_constructible_v<handle> && std::is_nothrow_move_assignable_v<handle>);
    static_assert(!std::is_copy_constructible_v<handle>);
    {
        handle first = pool->borrow();
        citizen* const object = first.get();
        handle second = std::move(first);
        CHECK(second.get() == object);
        CHECK(pool->try_get() == nullptr);
        handle third = pool->borrow();
        third = std::move(second);  // puts the object of `third` back
        CHECK(third.get() == object);
        CHECK(pool->stats().blocks_cached == 1);
        handle none;
        none = std::move(third);
    }
    CHECK(pool->stats().blocks_cached == 2);
    CHECK(counted.made == 2);
    CHECK(counted.destroyed == 0);
    pool->put(pool->borrow().release());  // the program may also put it back itself
    CHECK(pool->stats().blocks_cached == 2);
}

TEST_CASE("discard destroys an object instead of putting it back") {
    census counted;
    const auto pool = make_pool(counted);
    citizen* one = pool->get();
    pool->discard(one);
    CHECK(counted.destroyed == 1);
    CHECK(pool->stats().blocks_cached == 0);
    pool->discard(nullptr);
    CHECK(counted.destroyed == 1);
}

template <std::size_t Alignment>
struct alignas(Alignment) aligned_object {
    unsigned char bytes[Alignment];
};

TEST_CASE_TEMPLATE("an over-aligned object has the alignment of its type", Object, aligned_object<64>,
                   aligned_object<4096>, aligned_object<16'384>) {
    object_pool<Object> pool({}, {}, hand_ticked_objects());
    for (int round = 0; round < 2; ++round) {
        std::vector<Object*> out(20);
        for (Object*& each : out) {
            each = pool.get();
            CHECK(is_aligned(each, alignof(Object)));
            each->bytes[alignof(Object) - 1] = 1;
        }
        for (Object* each : out) pool.put(each);
    }
}

TEST_CASE("class template arguments are deduced from the factory and the reset") {
    const auto factory = [] { return std::string("new"); };
    const auto reset = [](std::string& s) { s.clear(); };
    object_pool from_factory(factory);
    object_pool with_reset(factory, reset);
    object_pool with_options(factory, reset, hand_ticked_objects(8));
    static_assert(std::is_same_v<decltype(from_factory)::value_type, std::string>);
    static_assert(std::is_same_v<decltype(with_reset)::value_type, std::string>);
    static_assert(std::is_same_v<decltype(with_options)::value_type, std::string>);
    CHECK(*from_factory.borrow() == "new");
    CHECK(*with_reset.borrow() == "new");
    CHECK(*with_options.borrow() == "new");
    CHECK(with_options.options().magazine_capacity == 8);

    object_pool<std::vector<int>> by_value;
    CHECK(by_value.borrow()->empty());
}

TEST_CASE("options go beside a factory, also in braces") {
    tidepool::object_pool pool([] { return 7; }, {.magazine_capacity = 3});
    CHECK(pool.options().magazine_capacity == 3);
    CHECK(*pool.borrow() == 7);
    tidepool::object_pool_options options;
    options.magazine_capacity = 3;
    const tidepool::object_pool same([] { return 8; }, options);
    CHECK(same.options() == pool.options());
}

TEST_CASE("the arguments of get and borrow are the factory's") {
    const support::calm no_dice;
    const auto named = [](std::string name, std::unique_ptr<int> number) { return name + std::to_string(*number); };
    tidepool::object_pool<std::string, decltype(named)> pool(named);
    std::string* first = pool.get("a", std::make_unique<int>(1));
    CHECK(*first == "a1");
    CHECK(*pool.borrow("b", std::make_unique<int>(2)) == "b2");
    pool.put(first);
    CHECK(*pool.borrow("c", std::make_unique<int>(3)) == "a1");  // none is made
}

TEST_CASE("an object that was made elsewhere is taken over") {
    const support::calm no_dice;
    struct base {
        explicit base(int& all) : ended(all) {}
        virtual ~base() { ++ended; }
        int& ended;
    };
    struct derived : base {
        using base::base;
        ~derived() override { ended += 10; }
    };
    int ended = 0;
    {
        const auto make = [&] { return base(ended); };
        tidepool::object_pool<base, decltype(make)> pool(make);
        auto elsewhere = std::make_unique<derived>(ended);
        base* const its = elsewhere.get();
        pool.put(std::unique_ptr<base>(std::move(elsewhere)));
        pool.put(std::unique_ptr<base>());
        CHECK(pool.stats().blocks_cached == 1);
        base* const got = pool.try_get();
        CHECK((!got || got == its));
        pool.put(got);
        CHECK(ended == 0);
    }
    CHECK(ended == 11);
}

TEST_CASE("an object pool can be neither copied nor moved") {
    using pool = object_pool<int>;
    static_assert(!std::is_copy_constructible_v<pool> && !std::is_move_constructible_v<pool>);
    static_assert(!std::is_copy_assignable_v<pool> && !std::is_move_assignable_v<pool>);
}

}  // namespace

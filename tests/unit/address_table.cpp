// src: base/address_table.hpp
#include "base/address_table.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"
#include "threads.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<address_table<int>> {
    // Another key in the place of `key`, with no way there.
    static void misplace(address_table<int>& table, const void* key,
                         const void* other) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        auto* const e = table.find(key);
        e->key = other;
        const auto slot = table.slot_of(other);
        table.entries_[slot].key = nullptr;
    }
    static void miscount(address_table<int>& table) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS { ++table.count_; }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using tidepool::detail::address_table;
using tidepool::detail::lock_rank;

namespace {
// Addresses like those of allocators: near each other, multiples of 16.
const void* address(std::uint64_t i) { return reinterpret_cast<const void*>(0x7000'0000'0000 + 16 * i); }
}  // namespace

TEST_CASE("an empty address_table finds nothing") {
    address_table<int> table{lock_rank::large_blocks};
    CHECK_FALSE(table.get(address(1)).has_value());
    CHECK_FALSE(table.erase(address(1)).has_value());
    CHECK(table.update(address(1), [](int* found) { return found == nullptr; }));
    int used = 0;
    table.erase_all([&](const void*, int) { ++used; });
    CHECK(used == 0);
}

TEST_CASE("an address_table behaves like std::map") {
    address_table<std::uint64_t> table{lock_rank::large_blocks};
    std::unordered_map<const void*, std::uint64_t> model;
    support::rng random = support::make_rng();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < support::scaled(500'000); ++i) {
        // Few addresses and many erasures, so that runs of neighbours form and gaps are closed, also across the end.
        const void* p = address(random() % (i % 50'000 < 25'000 ? 200 : 5000));
        switch (random() % 5) {
            case 0:
            case 1:
                if (!table.set(p, i)) ++wrong;
                model[p] = i;
                break;
            case 2: {
                const auto got = table.erase(p);
                const auto there = model.find(p);
                if (got.has_value() != (there != model.end()) || (got && *got != there->second)) ++wrong;
                if (there != model.end()) model.erase(there);
                break;
            }
            case 3:
                table.update(p, [&](std::uint64_t* found) {
                    if ((found != nullptr) != model.contains(p)) ++wrong;
                    if (found) *found = model[p] = i;
                });
                break;
            default: {
                const auto got = table.get(p);
                const auto there = model.find(p);
                if (got.has_value() != (there != model.end()) || (got && *got != there->second)) ++wrong;
            }
        }
    }
    CHECK(wrong == 0);
    table.erase_all([&](const void* p, std::uint64_t value) {
        if (const auto there = model.find(p); there != model.end() && there->second == value)
            model.erase(there);
        else
            ++wrong;
    });
    CHECK(wrong == 0);
    CHECK(model.empty());
    CHECK_FALSE(table.get(address(0)).has_value());
    CHECK(table.set(address(0), 1));
    CHECK(table.get(address(0)) == 1);
}

TEST_CASE("threads find the entries that they set") {
    address_table<std::uint64_t> table{lock_rank::large_blocks};
    std::atomic<std::size_t> wrong{0};
    support::on_threads(4, [&](std::size_t me) {
        for (std::uint64_t i = 0; i < support::scaled(50'000); ++i) {
            const void* p = address(4 * i + me);
            if (!table.set(p, i)) ++wrong;
            if (table.get(p) != i) ++wrong;
            if (i >= 100 && table.erase(address(4 * (i - 100) + me)) != i - 100) ++wrong;
        }
    });
    CHECK(wrong == 0);
}

TEST_CASE("check() finds an unreachable key, even with few slots checked per call") {
    address_table<int> table{lock_rank::large_blocks};
    table.check();
    for (std::uint64_t i = 0; i < 300; ++i) REQUIRE(table.set(address(i), 1));
    table.check();
    using peer = tidepool::detail::test_peer<address_table<int>>;
    CHECK(support::died([&] {
              peer::misplace(table, address(1), address(12345));
              table.check();
          }).said("is in a table where no search finds it"));
    CHECK(support::died([&] {
              peer::misplace(table, address(1), address(12345));
              for (int i = 0; i < 1000; ++i) table.check(8);
          }).said("is in a table where no search finds it"));
    CHECK(support::died([&] {
              peer::miscount(table);
              table.check();
          }).said("an address table counts 301 addresses and has 300"));
}

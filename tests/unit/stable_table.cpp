// src: base/stable_table.hpp
#include "base/stable_table.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/arena.hpp"
#include "threads.hpp"

using tidepool::detail::arena;
using tidepool::detail::stable_table;

TEST_CASE("an entry that was never set is null, with or without its segment") {
    arena records;
    stable_table<int> table;
    for (const std::uint32_t i : {0U, 1U, 63U, 64U, 127U, 128U, 65535U}) CHECK(table.get(i) == nullptr);
    int value = 0;
    CHECK(table.set(100, &value, records));
    CHECK(table.get(100) == &value);
    CHECK(table.get(99) == nullptr);
    CHECK(table.get(101) == nullptr);
    CHECK(table.get(0) == nullptr);
}

TEST_CASE("entries are distinct up to the last index") {
    arena records;
    stable_table<std::uint32_t> table;
    std::vector<std::uint32_t> values(stable_table<std::uint32_t>::entries_max);
    for (std::uint32_t i = 0; i < values.size(); ++i) REQUIRE(table.set(i, &values[i], records));
    std::size_t wrong = 0;
    for (std::uint32_t i = 0; i < values.size(); ++i) wrong += table.get(i) != &values[i];
    CHECK(wrong == 0);
    // 8 bytes an entry, and segments that double.
    CHECK(records.bytes() <= values.size() * 8 * 3);
}

TEST_CASE("an entry beyond the last is refused") {
    arena records;
    stable_table<std::uint32_t> table;
    std::uint32_t value = 0;
    CHECK_FALSE(table.set(stable_table<std::uint32_t>::entries_max, &value, records));
    CHECK(table.set(stable_table<std::uint32_t>::entries_max - 1, &value, records));
}

TEST_CASE("readers see complete entries while the table grows") {
    constexpr std::uint32_t entries = 20'000;
    arena records;
    stable_table<std::uint32_t> table;
    std::vector<std::uint32_t> values(entries);  // plain: an entry's value is published with it
    std::atomic<std::uint32_t> set{0};
    std::atomic<std::size_t> wrong{0};
    support::on_threads(4, [&](std::size_t me) {
        if (me == 0) {
            for (std::uint32_t i = 0; i < entries; ++i) {
                values[i] = i + 1;
                if (!table.set(i, &values[i], records)) ++wrong;
                set.store(i + 1, std::memory_order_relaxed);
            }
            return;
        }
        for (std::uint32_t i = 0; i < entries;) {
            const std::uint32_t* found = table.get(i);
            if (found) {
                if (*found != i + 1) ++wrong;
                ++i;
            }
        }
    });
    CHECK(wrong == 0);
}

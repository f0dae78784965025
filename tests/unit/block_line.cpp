// src: source/block_line.hpp
#include "source/block_line.hpp"

#include <doctest/doctest.h>

#include <atomic>

#include "threads.hpp"

namespace detail = tidepool::detail;
using detail::block_state;

TEST_CASE("a new line is of an idle block that nobody has freed") {
    const detail::block_line line;
    CHECK(line.get() == detail::block_line::known{});
    CHECK(line.get().state == block_state::idle);
}

TEST_CASE("a block is given back once, and the line says by whom") {
    detail::block_line line;
    CHECK(line.give_back(7).state == block_state::idle);
    CHECK(line.get() == detail::block_line::known{});
    line.set({3, 100, 5, block_state::with_program});
    const detail::block_line::known before = line.give_back(7);
    CHECK(before.freed_by == 3);
    CHECK(before.state == block_state::with_program);
    CHECK(line.get() == detail::block_line::known{7, 100, 5, block_state::given_back});
    CHECK(line.give_back(8).freed_by == 7);
    CHECK(line.get().freed_by == 7);
}

TEST_CASE("the uses of a block are counted modulo 256 and touch nothing else of its line") {
    detail::block_line line;
    detail::block_line::known its{7, 100, 255, block_state::with_program};
    ++its.uses;
    line.set(its);
    CHECK(line.get() == detail::block_line::known{7, 100, 0, block_state::with_program});
}

TEST_CASE("of several threads that give a block back at once one does") {
    for (int round = 0; round < 1000; ++round) {
        detail::block_line line;
        line.set({0, 0, 0, block_state::with_program});
        std::atomic<int> won{0};
        support::on_threads(2, [&](auto number) {
            won += line.give_back(static_cast<std::uint32_t>(number) + 1).state == block_state::with_program;
        });
        CHECK(won == 1);
    }
}

// src: base/assert.hpp
#include "base/assert.hpp"

#include <doctest/doctest.h>

#include "died.hpp"

namespace {
int evaluated = 0;
[[maybe_unused]] bool holds(bool answer) {  // not used where nothing checks
    ++evaluated;
    return answer;
}
}  // namespace

TEST_CASE("a failed assertion names its place, condition and message where it is checked") {
    const auto end = support::died([] { TIDEPOOL_ASSERT(holds(false), "%d of %s", 3, "these"); });
    CHECK(end.violent() == tidepool::detail::checked);
    CHECK(end.said("tidepool: assert.cpp:") == tidepool::detail::checked);
    CHECK(end.said(": holds(false): 3 of these\n") == tidepool::detail::checked);
}

TEST_CASE("an assertion is evaluated once where it is checked, and not at all elsewhere") {
    evaluated = 0;
    TIDEPOOL_ASSERT(holds(true), "holds");
    CHECK(evaluated == (tidepool::detail::checked ? 1 : 0));
}

TEST_CASE("a message that is too long is cut off" * doctest::skip(!tidepool::detail::checked)) {
    const auto end = support::died([] { TIDEPOOL_ASSERT(holds(false), "%01000d", 1); });
    CHECK(end.text.size() == 255);
    CHECK(end.text.back() == '\n');
}

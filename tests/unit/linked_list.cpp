// src: base/linked_list.hpp
#include "base/linked_list.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <vector>

#include "died.hpp"
#include "scale.hpp"
#include "seed.hpp"

namespace {
struct element {
    tidepool::detail::list_links<element> links, others;
};
using list = tidepool::detail::linked_list<element, &element::links>;

std::vector<element*> content(const list& of) {
    std::vector<element*> all;
    for (element* e = of.first(); e; e = list::after(*e)) all.push_back(e);
    return all;
}
}  // namespace

TEST_CASE("an empty list has neither a first nor a last element") {
    const list none;
    CHECK(none.empty());
    CHECK(none.first() == nullptr);
    CHECK(none.last() == nullptr);
    CHECK(none.whole());
}

TEST_CASE("a list keeps its order through pushes at both ends and removals anywhere") {
    std::deque<element> elements(20);
    list tested;
    std::deque<element*> model;
    auto rng = support::make_rng();
    for (std::size_t i = 0; i < support::scaled(20'000); ++i) {
        element& e = elements[rng() % elements.size()];
        const auto at = std::find(model.begin(), model.end(), &e);
        if (at != model.end()) {
            tested.remove(e);
            model.erase(at);
        } else if (rng() % 2) {
            tested.push_front(e);
            model.push_front(&e);
        } else {
            tested.push_back(e);
            model.push_back(&e);
        }
        REQUIRE(content(tested) == std::vector<element*>(model.begin(), model.end()));
        REQUIRE(tested.last() == (model.empty() ? nullptr : model.back()));
        REQUIRE(tested.whole());
    }
}

TEST_CASE("an element may be in two lists through two members") {
    element one, two;
    list first;
    tidepool::detail::linked_list<element, &element::others> second;
    first.push_back(one);
    first.push_back(two);
    second.push_back(two);
    second.push_back(one);
    first.remove(one);
    CHECK(first.first() == &two);
    CHECK(second.first() == &two);
    CHECK(second.last() == &one);
}

TEST_CASE("whole() is false for a list with a broken link") {
    element one, two, three;
    list broken;
    broken.push_back(one);
    broken.push_back(two);
    broken.push_back(three);
    two.links.previous = &three;
    CHECK_FALSE(broken.whole());
    two.links.previous = &one;
    REQUIRE(broken.whole());
    two.links.next = nullptr;
    CHECK_FALSE(broken.whole());
}

TEST_CASE("removing what is not in the list fails an assertion" * doctest::skip(!tidepool::detail::checked)) {
    element one, two;
    list some;
    some.push_back(one);
    CHECK(support::died([&] { some.remove(two); }).said("removed from a list it is not in"));
}

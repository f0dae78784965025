// Where a bench takes its blocks from and gives them back to: one type for each way of calling. What a source stands
// for is made once and never destroyed.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <type_traits>

#include "common/escape.hpp"

namespace bench {

template <class Take, class Give>
struct source {
    Take take;  // void*(bytes)
    Give give;  // void(p, bytes)
};

// clang 14 does not deduce it by itself.
template <class Take, class Give>
source(Take, Give) -> source<Take, Give>;

// As containers call it; the compiler does not know which resource it is, and all are called by the same machine code.
template <class Base = std::pmr::memory_resource>
auto through(std::type_identity_t<Base>* known) {
    Base* const resource = opaque(known);
    return source{[resource](std::size_t bytes) { return resource->allocate(bytes); },
                  [resource](void* p, std::size_t bytes) { resource->deallocate(p, bytes); }};
}

// As a program calls its malloc.
template <auto take_from, auto give_to>
auto plain_malloc() {
    return source{[](std::size_t bytes) { return take_from(bytes); }, [](void* p, std::size_t) { give_to(p); }};
}

}  // namespace bench

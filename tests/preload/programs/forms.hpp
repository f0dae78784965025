// All forms of operator new and delete, with what a program mixes them with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "program.hpp"

namespace programs {

struct alignas(64) wide {
    char bytes[64];
};

template <class T>
void use_object() {
    auto* one = new T;
    auto* many = new T[33];
    auto* perhaps = new (std::nothrow) T;
    auto* perhaps_many = new (std::nothrow) T[33];
    for (T* p : {one, many, perhaps, perhaps_many}) {
        require(p && reinterpret_cast<std::uintptr_t>(p) % alignof(T) == 0, "an object is where it may be");
    }
    delete one;
    delete[] many;
    delete perhaps;
    delete[] perhaps_many;
}

// Blocks of one size by each form of new without an alignment, ended by each form of delete.
inline void use_blocks(std::size_t bytes) {
    for (int ending = 0; ending < 3; ++ending)
        for (const bool throwing : {true, false}) {
            void* one = throwing ? ::operator new(bytes) : ::operator new(bytes, std::nothrow);
            void* many = throwing ? ::operator new[](bytes) : ::operator new[](bytes, std::nothrow);
            require(one && many, "there is memory");
            switch (ending) {
                case 0:
                    ::operator delete(one);
                    ::operator delete[](many);
                    break;
                case 1:
                    ::operator delete(one, bytes);
                    ::operator delete[](many, bytes);
                    break;
                default:
                    ::operator delete(one, std::nothrow);
                    ::operator delete[](many, std::nothrow);
            }
        }
}

inline void use_all_forms() {
    for (int round = 0; round < 200; ++round) {
        use_object<int>();
        use_object<wide>();
        use_object<std::string>();
        for (const std::size_t bytes : {std::size_t{1}, std::size_t{100}, std::size_t{5000}, std::size_t{70'000}})
            use_blocks(bytes);
    }
    std::map<std::string, std::vector<int>> lists;
    for (int i = 0; i < 20'000; ++i) lists["key " + std::to_string(i % 700)].push_back(i);
    lists.clear();
    // Takes its buffer by new that does not throw, and frees it by plain delete.
    std::vector<std::string> lines;
    for (int i = 0; i < 5000; ++i) lines.push_back(std::to_string(i * 7919 % 5000));
    std::stable_sort(lines.begin(), lines.end());
    require(std::is_sorted(lines.begin(), lines.end()), "lines are in order");
    // The library's own: an exception's message, and what libc allocates.
    try {
        throw std::bad_array_new_length();
    } catch (const std::bad_alloc&) {
    }
    char* text = nullptr;
    require(asprintf(&text, "%0*d", 5000, 7) == 5000, "libc allocates");
    std::free(text);
}

}  // namespace programs

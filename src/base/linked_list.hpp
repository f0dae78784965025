// A doubly linked list through a member of its elements, which belong to somebody else. One thread at a time.
#pragma once

#include <cstddef>

#include "base/assert.hpp"

#include <tidepool/detail/config.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// An element has one for each list that it can be in.
template <class T>
struct list_links {
    T* next = nullptr;
    T* previous = nullptr;
};

// All members O(1), but for whole().
template <class T, list_links<T> T::*Links>
class linked_list {
public:
    T* first() const noexcept { return first_; }
    T* last() const noexcept { return last_; }
    static T* after(const T& element) noexcept { return (element.*Links).next; }
    bool empty() const noexcept { return !first_; }

    void push_front(T& element) noexcept {
        element.*Links = {first_, nullptr};
        (first_ ? (first_->*Links).previous : last_) = &element;
        first_ = &element;
    }
    void push_back(T& element) noexcept {
        element.*Links = {nullptr, last_};
        (last_ ? (last_->*Links).next : first_) = &element;
        last_ = &element;
    }
    // Needs: it is in this list.
    void remove(T& element) noexcept {
        const list_links<T> its = element.*Links;
        TIDEPOOL_ASSERT((its.previous ? (its.previous->*Links).next : first_) == &element,
                        "removed from a list it is not in");
        (its.previous ? (its.previous->*Links).next : first_) = its.next;
        (its.next ? (its.next->*Links).previous : last_) = its.previous;
    }
    // The elements keep their links.
    void clear() noexcept { first_ = last_ = nullptr; }

    // Whether every link has its counterpart. Linear.
    bool whole() const noexcept {
        const T* before = nullptr;
        for (const T* each = first_; each; before = each, each = after(*each))
            if ((each->*Links).previous != before) return false;
        return last_ == before;
    }

private:
    T* first_ = nullptr;
    T* last_ = nullptr;
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

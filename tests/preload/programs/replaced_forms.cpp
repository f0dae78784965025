// A program that replaces plain new and delete and no other form, with a header before each block. The standard has the
// other forms call these.
#include <cstdint>

#include "forms.hpp"

namespace {

struct alignas(16) header {
    std::uint64_t mark;
};
constexpr std::uint64_t mark = 0xFEEDBEEF;

std::size_t live = 0, all = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
    auto* p = static_cast<header*>(std::malloc(sizeof(header) + bytes));
    if (!p) throw std::bad_alloc();
    p->mark = mark;
    ++live;
    ++all;
    return p + 1;
}

[[gnu::noinline]] void operator delete(void* p) noexcept {
    if (!p) return;
    auto* head = static_cast<header*>(p) - 1;
    programs::require(head->mark == mark, "delete is handed blocks of the program's new only");
    head->mark = 0;
    --live;
    std::free(head);
}

int main() {
    const std::size_t before = live;
    programs::use_all_forms();
    programs::require(live == before, "each block comes back by the program's delete");
    const std::size_t count = all;
    int* volatile numbers = new int[100];  // volatile, or the compiler leaves the pair out
    delete[] numbers;
    ::operator delete (::operator new(10, std::nothrow), std::size_t{10});
    ::operator delete[](::operator new[](10, std::nothrow), std::size_t{10});
    programs::require(all == count + 3, "new[] and new that does not throw call the program's new");
}

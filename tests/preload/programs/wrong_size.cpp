// A program that calls sized delete with wrong sizes, as some programs do. It prints "done" at its end.
#include <malloc.h>

#include <new>
#include <vector>

#include "program.hpp"

int main() {
    std::vector<void*> blocks(4000);
    for (void*& p : blocks) p = ::operator new(64);
    for (void* p : blocks) ::operator delete(p, 4000);
    malloc_trim(0);  // returns all idle memory that was not returned before
    for (void*& p : blocks) p = ::operator new(4000);
    for (void* p : blocks) ::operator delete(p, 4000);
    std::puts("done");
}

// A program whose sized delete tells wrong sizes, as there are such. It says "done" when it comes to its end.
#include <malloc.h>

#include <new>
#include <vector>

#include "program.hpp"

int main() {
    std::vector<void*> blocks(4000);
    for (void*& p : blocks) p = ::operator new(64);
    for (void* p : blocks) ::operator delete(p, 4000);
    malloc_trim(0);  // all goes down, if it has not yet
    for (void*& p : blocks) p = ::operator new(4000);
    for (void* p : blocks) ::operator delete(p, 4000);
    std::puts("done");
}

// What keeps the compiler from seeing through a bench. None of these costs an instruction, but for the byte.
#pragma once

namespace bench {

// `p` is used and whatever it points to may have changed, as far as the compiler knows.
inline void escape(const void* p) { asm volatile("" : : "g"(p) : "memory"); }

// The same pointer, its origin forgotten: no call through it can be made a direct one.
template <class T>
T* opaque(T* p) {
    asm volatile("" : "+r"(p));
    return p;
}

// What a program does at least with a block that it asked for.
inline void write_byte(void* p) { *static_cast<volatile unsigned char*>(p) = 1; }

}  // namespace bench

// Small wrong programs, one a run: each misuses malloc in one way, goes on as programs do, and looks whether the same
// memory has two owners then. tests/misuse/table runs them with several mallocs.
//
//   tidepool-misuse --list           the names of all: KIND/SIZE, or KIND/SIZE/thread where another thread errs
//   tidepool-misuse NAME             ends by a signal where malloc stops it; else exits with
//                                    0 if nothing was noticed, 3 if memory has two owners, 2 for a bad name
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>

namespace {

constexpr std::size_t sizes[] = {16, 64, 500, 3000, 20'000, 100'000};
constexpr int neighbours = 10;
constexpr std::size_t owned_max = 1000;

// The compiler must not know what becomes of it.
template <class T>
T* opaque(T* p) {
    asm volatile("" : "+r"(p) : : "memory");
    return p;
}

// What the program owns at the moment. In no memory of malloc's.
struct piece {
    char* begin;
    std::size_t bytes;
};
std::array<piece, owned_max> owned;
std::size_t owned_count = 0;

bool owns(const char* begin, std::size_t bytes) {
    for (std::size_t i = 0; i < owned_count; ++i)
        if (begin < owned[i].begin + owned[i].bytes && owned[i].begin < begin + bytes) return true;
    return false;
}

void own(char* p, std::size_t bytes) { owned[owned_count++] = {p, bytes}; }

void disown(const char* p) {
    for (std::size_t i = 0; i < owned_count; ++i)
        if (owned[i].begin == p) owned[i] = owned[--owned_count];
}

// A case: the size, and who does the second, wrong step.
struct setting {
    std::size_t bytes;
    bool by_thread;

    template <class Step>
    void wrong(Step step) const {
        if (by_thread)
            std::thread(step).join();
        else
            step();
    }
};

char* take(std::size_t bytes) {
    char* p = opaque(static_cast<char*>(std::malloc(bytes)));
    std::memset(p, 'a', bytes);
    own(p, bytes);
    return p;
}

void drop(char* p) {
    disown(p);
    std::free(p);
}

// One of several blocks that the program has; not the first of a larger piece, which has nothing in front.
char* among_neighbours(std::size_t bytes) {
    char* found = nullptr;
    for (int i = 0; i < neighbours; ++i) {
        char* p = take(bytes);
        if (!found && i >= neighbours / 2 && reinterpret_cast<std::size_t>(p) % 65536 != 0) found = p;
    }
    return found;
}

std::size_t rounded(std::size_t bytes) { return (bytes + 15) & ~std::size_t{15}; }

// ---- double frees

void free_twice(const setting& s) {
    char* p = among_neighbours(s.bytes);
    drop(p);
    s.wrong([=] { std::free(opaque(p)); });
}
void free_twice_after_another(const setting& s) {
    char *p = among_neighbours(s.bytes), *q = take(s.bytes);
    drop(p);
    drop(q);
    s.wrong([=] { std::free(opaque(p)); });
}
void free_twice_after_many(const setting& s) {
    char* p = among_neighbours(s.bytes);
    std::array<char*, 100> others;
    for (char*& each : others) each = take(s.bytes);
    drop(p);
    for (char* each : others) drop(each);
    s.wrong([=] { std::free(opaque(p)); });
}
void free_twice_after_a_tick(const setting& s) {
    char* p = among_neighbours(s.bytes);
    drop(p);
    for (int i = 0; i < 6; ++i) {
        usleep(10'000);
        for (int k = 0; k < 40; ++k) std::free(opaque(std::malloc(200)));
    }
    s.wrong([=] { std::free(opaque(p)); });
}
void free_twice_after_trim(const setting& s) {
    char* p = among_neighbours(s.bytes);
    drop(p);
    malloc_trim(0);
    s.wrong([=] { std::free(opaque(p)); });
}

// ---- frees of what is no block

void free_odd(const setting& s) {
    char* p = among_neighbours(s.bytes);
    s.wrong([=] { std::free(opaque(p + 1)); });
}
void free_inside(const setting& s) {
    char* p = among_neighbours(s.bytes);
    s.wrong([=] { std::free(opaque(p + 16)); });
}
void free_middle(const setting& s) {
    char* p = among_neighbours(s.bytes);
    s.wrong([=] { std::free(opaque(p + rounded(s.bytes / 2))); });
}
void free_behind(const setting& s) {
    char* p = among_neighbours(s.bytes);
    s.wrong([=] { std::free(opaque(p + rounded(s.bytes))); });
}
void free_before(const setting& s) {
    char* p = among_neighbours(s.bytes);
    s.wrong([=] { std::free(opaque(p - 16)); });
}
void free_stack(const setting& s) {
    std::array<char, 4096> on_stack{};
    among_neighbours(s.bytes);
    std::free(opaque(on_stack.data() + 1024));
}
void free_static(const setting& s) {
    alignas(16) static std::array<char, 4096> bytes{};
    among_neighbours(s.bytes);
    std::free(opaque(bytes.data() + 1024));
}
void free_mapping(const setting& s) {
    among_neighbours(s.bytes);
    void* p = mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::free(opaque(static_cast<char*>(p) + 4096));
}

// ---- sizes

void delete_as(const setting& s, std::size_t said) {
    char* p = nullptr;
    for (int i = 0; i < neighbours; ++i) {
        char* each = opaque(static_cast<char*>(::operator new(s.bytes)));
        own(each, s.bytes);
        if (i == neighbours / 2) p = each;
    }
    disown(p);
    ::operator delete(p, said);
    for (int i = 0; i < 100; ++i) {  // those of the size that was said
        char* each = opaque(static_cast<char*>(std::malloc(said)));
        if (owns(each, said)) _exit(3);
        own(each, said);
    }
}
void delete_too_small(const setting& s) { delete_as(s, s.bytes / 2); }
void delete_too_large(const setting& s) { delete_as(s, s.bytes * 4); }
void delete_slightly_larger(const setting& s) { delete_as(s, s.bytes + s.bytes / 4); }

// ---- writes

void overflow_by_one(const setting& s) {
    char* p = among_neighbours(s.bytes);
    opaque(p)[s.bytes] = 1;
    drop(p);
}
void overflow_by_many(const setting& s) {
    char* p = among_neighbours(s.bytes);
    std::memset(opaque(p) + s.bytes, 1, 64);
    drop(p);
}
void underflow_by_one(const setting& s) {
    char* p = among_neighbours(s.bytes);
    opaque(p)[-1] = 1;
    drop(p);
}
void underflow_by_many(const setting& s) {
    char* p = among_neighbours(s.bytes);
    std::memset(opaque(p) - 16, 1, 16);
    drop(p);
}
void write_freed(const setting& s, std::size_t offset) {
    char* p = among_neighbours(s.bytes);
    drop(p);
    s.wrong([=] { std::memset(opaque(p) + offset, 1, 8); });
}
void write_freed_front(const setting& s) { write_freed(s, 0); }
void write_freed_later(const setting& s) { write_freed(s, s.bytes < 64 ? 8 : 48); }
void write_freed_end(const setting& s) { write_freed(s, s.bytes - 8); }

// ---- other uses

void realloc_freed(const setting& s) {
    char* p = among_neighbours(s.bytes);
    drop(p);
    s.wrong([=] {
        char* q = opaque(static_cast<char*>(std::realloc(opaque(p), s.bytes + s.bytes / 2)));
        if (owns(q, s.bytes)) _exit(3);
        own(q, s.bytes);
    });
}
void realloc_inside(const setting& s) {
    char* p = among_neighbours(s.bytes);
    char* q = opaque(static_cast<char*>(std::realloc(opaque(p + 16), s.bytes * 2)));
    if (owns(q, s.bytes * 2)) _exit(3);
    own(q, s.bytes * 2);
}
void usable_size_freed(const setting& s) {
    char* p = among_neighbours(s.bytes);
    drop(p);
    malloc_usable_size(opaque(p));
}
void usable_size_inside(const setting& s) { malloc_usable_size(opaque(among_neighbours(s.bytes) + 16)); }

constexpr std::size_t all = 0, larger = 17;  // the least size of a kind

struct kind {
    const char* name;
    void (*deed)(const setting&);
    std::size_t from;
    bool threads;   // also with the wrong step in another thread
    bool any_size;  // else: once, since the size does not matter
};
constexpr kind kinds[] = {
    {"double-free/at-once", free_twice, all, true, true},
    {"double-free/after-another", free_twice_after_another, all, true, true},
    {"double-free/after-many", free_twice_after_many, all, true, true},
    {"double-free/after-a-tick", free_twice_after_a_tick, all, true, true},
    {"double-free/after-trim", free_twice_after_trim, all, true, true},
    {"free-inside/odd", free_odd, all, true, true},
    {"free-inside/second-granule", free_inside, larger, true, true},
    {"free-inside/middle", free_middle, larger, true, true},
    {"free-beside/behind", free_behind, all, false, true},
    {"free-beside/before", free_before, all, false, true},
    {"free-foreign/stack", free_stack, all, false, false},
    {"free-foreign/static", free_static, all, false, false},
    {"free-foreign/mapping", free_mapping, all, false, false},
    {"wrong-size/half", delete_too_small, all, false, true},
    {"wrong-size/fourfold", delete_too_large, all, false, true},
    {"wrong-size/slightly-larger", delete_slightly_larger, all, false, true},
    {"overflow/one-byte", overflow_by_one, all, false, true},
    {"overflow/64-bytes", overflow_by_many, all, false, true},
    {"underflow/one-byte", underflow_by_one, all, false, true},
    {"underflow/16-bytes", underflow_by_many, all, false, true},
    {"write-after-free/front", write_freed_front, all, true, true},
    {"write-after-free/later", write_freed_later, all, false, true},
    {"write-after-free/end", write_freed_end, all, false, true},
    {"other-use/realloc-freed", realloc_freed, all, true, true},
    {"other-use/realloc-inside", realloc_inside, larger, false, true},
    {"other-use/usable-size-freed", usable_size_freed, all, false, true},
    {"other-use/usable-size-inside", usable_size_inside, larger, false, true},
};

// use(name, kind, setting) for each case.
template <class Use>
void for_each_case(Use use) {
    for (const kind& k : kinds)
        for (const std::size_t bytes : sizes) {
            if (bytes < k.from || (!k.any_size && bytes != 64)) continue;
            const std::string name = std::string(k.name) + "/" + std::to_string(bytes);
            use(name, k, setting{bytes, false});
            if (k.threads) use(name + "/thread", k, setting{bytes, true});
        }
}

// The program goes on: takes blocks, which must be nobody else's, and has memory returned.
int go_on(std::size_t bytes) {
    std::array<char*, 200> more;
    for (char*& each : more) {
        each = opaque(static_cast<char*>(std::malloc(bytes)));
        if (owns(each, bytes)) return 3;
        own(each, bytes);
    }
    for (char* each : more) drop(each);
    malloc_trim(0);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const std::string wanted = argv[1];
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(20);
    int status = 2;
    for_each_case([&](const std::string& name, const kind& k, const setting& s) {
        if (wanted == "--list") {
            std::puts(name.c_str());
            status = 0;
        } else if (wanted == name) {
            k.deed(s);
            status = go_on(s.bytes);
        }
    });
    if (wanted == "--list") std::fflush(stdout);
    _exit(status);
}

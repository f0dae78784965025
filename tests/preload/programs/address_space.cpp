// In a limited address space, requests fail with ENOMEM and succeed again once memory has been freed, be it by a
// new-handler or as blocks of another size.
#include <malloc.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <new>
#include <string>

#include "program.hpp"
#include "worker.hpp"

namespace {

using namespace programs;

constexpr std::size_t room = 256 * mib;

// A hardened build has room behind each block, with which jemalloc wastes a fifth of those of 1 MiB.
#if defined(TIDEPOOL_HARDENED)
constexpr std::size_t least = room / 3;
#else
constexpr std::size_t least = room / 2;
#endif

std::size_t virtual_bytes() {
    std::FILE* statm = std::fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    require(statm && std::fscanf(statm, "%lu", &pages) == 1, "/proc/self/statm can be read");
    std::fclose(statm);
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

struct node {
    node* next;
};

// Allocates blocks until malloc fails, which must set ENOMEM. Returns the number of bytes; `first` is the head of the
// list of blocks. Writes only to the beginning of each.
std::size_t take_all(std::size_t bytes, node*& first) {
    std::size_t taken = 0;
    for (first = nullptr;; taken += bytes) {
        errno = 0;
        auto* p = static_cast<node*>(std::malloc(bytes));
        if (!p) break;
        p->next = first;
        first = p;
    }
    require(errno == ENOMEM, "the request that failed has set ENOMEM");
    return taken;
}

void free_all(node* first) {
    while (first) {
        node* next = first->next;
        std::free(first);
        first = next;
    }
}

void* reserve = nullptr;
int handler_calls = 0;
void give_reserve() {
    ++handler_calls;
    if (!reserve) throw std::bad_alloc();
    std::free(reserve);
    reserve = nullptr;
}

}  // namespace

int main() {
    support::worker sleeper;  // gets its stack and malloc's per-thread state before the limit is set
    sleeper.run([] { std::free(take(1000)); });
    const rlim_t limit = virtual_bytes() + room;
    const rlimit both{limit, limit};
    require(setrlimit(RLIMIT_AS, &both) == 0, "the limit is set");

    for (int round = 0; round < 2; ++round)
        for (const std::size_t bytes :
             {std::size_t{64}, 32 * mib, std::size_t{1000}, std::size_t{32'768}, mib, std::size_t{4096}}) {
            node* first;
            const std::size_t taken = take_all(bytes, first);
            if (taken < least) {
                std::fprintf(stderr, "round %d: of %zu bytes in blocks of %zu only %zu\n", round, room, bytes, taken);
                return 1;
            }
            free_all(first);
        }

    // Allocates 32 MiB at once after all memory was used up in small blocks, a third of them by a sleeping thread.
    node* first;
    take_all(200, first);
    node* third = first;
    for (std::size_t i = 0; third->next && i < room / 600; ++i) third = third->next;
    node* rest = third->next;
    third->next = nullptr;
    sleeper.run([first] { free_all(first); });
    free_all(rest);
    void* large = std::malloc(32 * mib);
    require(large, "small blocks that were freed serve a large request");
    std::free(large);

    // new calls a handler that frees memory and succeeds; when the handler has nothing left, new throws.
    std::set_new_handler(give_reserve);
    reserve = std::malloc(64 * mib);
    require(reserve, "there is a reserve");
    node* all;
    take_all(mib, all);
    void* p = ::operator new(32 * mib);
    require(p && handler_calls == 1, "new has asked the handler and has got memory");
    bool thrown = false;
    void* volatile kept = nullptr;
    try {
        kept = ::operator new(128 * mib);
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    require(thrown && handler_calls == 2 && !kept, "new has asked the handler again, which threw");
    ::operator delete(p);
    free_all(all);
    std::set_new_handler(nullptr);
    std::string text(64 * mib, 'x');
    require(text.back() == 'x', "there is memory again");
}

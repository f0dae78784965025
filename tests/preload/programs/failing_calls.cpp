// What the system and libc are asked for fails, at every call in turn, and clocks go wrong: requests fail with ENOMEM
// or are served otherwise, blocks keep what was written into them, and all is well once calls succeed again.
#include "failing_calls.hpp"

#include <malloc.h>

#include <algorithm>
#include "program.hpp"

namespace {

using namespace programs;

constexpr std::size_t sizes[]{16, 100, 700, 3000, 9000, 30'000, 40'000, 200'000, 1'000'000, 5'000'000};

// Null where there is no memory. The first and the last bytes say whose it is.
char* mark(void* block, std::size_t bytes) noexcept {
    if (!block) {
        require(errno == ENOMEM, "a request that failed has set ENOMEM");
        return nullptr;
    }
    auto* p = static_cast<char*>(block);
    std::memset(p, static_cast<char>(bytes / 8), std::min<std::size_t>(bytes, 64));
    std::memset(p + bytes - 8, static_cast<char>(bytes / 8), 8);
    return p;
}
void check(const char* p, std::size_t bytes) noexcept {
    const auto is = static_cast<char>(bytes / 8);
    require(p[0] == is && p[bytes - 1] == is, "a block keeps its contents");
}
void give(char* p, std::size_t bytes) noexcept {
    if (p) check(p, bytes);
    std::free(p);
}

void use_malloc() noexcept {
    constexpr std::size_t kinds = std::size(sizes), count = 3 * kinds;
    char* held[count];
    std::size_t held_bytes[count];
    for (std::size_t i = 0; i < count; ++i) {
        held_bytes[i] = sizes[i % kinds];
        held[i] = mark(std::malloc(held_bytes[i]), held_bytes[i]);
    }
    for (std::size_t i = 0; i < count; i += 7) {
        const std::size_t bytes = sizes[(i + 1) % kinds];
        char* p = static_cast<char*>(std::realloc(held[i], bytes));
        if (!p) continue;
        if (held[i]) require(p[0] == static_cast<char>(held_bytes[i] / 8), "realloc keeps the contents");
        held[i] = mark(p, bytes);
        held_bytes[i] = bytes;
    }
    for (std::size_t i = 0; i < count; ++i) give(held[i], held_bytes[i]);
    for (const std::size_t bytes : sizes) {
        auto* zeroed = static_cast<char*>(std::calloc(bytes, 1));
        for (std::size_t i = 0; zeroed && i < bytes; i += i < 64 ? 1 : 511) require(zeroed[i] == 0, "calloc clears");
        give(zeroed ? mark(zeroed, bytes) : nullptr, bytes);
        auto* aligned = static_cast<char*>(std::aligned_alloc(4096, bytes / 4096 * 4096 + 4096));
        require(reinterpret_cast<std::uintptr_t>(aligned) % 4096 == 0, "a block is aligned as asked");
        std::free(aligned);
    }
}

void nap() noexcept {
    const timespec short_time{0, 2'000'000};
    nanosleep(&short_time, nullptr);
}

void live() noexcept {
    use_malloc();
    pthread_t others[2];
    bool begun[2];
    for (int i = 0; i < 2; ++i)
        begun[i] = pthread_create(
                       &others[i], nullptr, [](void*) -> void* { return use_malloc(), nullptr; }, nullptr) == 0;
    use_malloc();
    for (int i = 0; i < 2; ++i)
        if (begun[i]) pthread_join(others[i], nullptr);
    for (int i = 0; i < 2; ++i) {
        nap();
        use_malloc();
    }
    malloc_trim(0);
    const pid_t child = fork();
    if (child == 0) {
        use_malloc();
        malloc_trim(0);
        _exit(0);
    }
    int status = 0;
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child ends well");
}

}  // namespace

int main(int, char** arguments) {
    alarm(getenv("FAULT") ? 60 : 280);
    if (!getenv("FAULT")) {
        faults::try_all(arguments);
        return 0;
    }
    faults::go();
    live();
    const bool reached = faults::reached();
    faults::no_more();
    live();
    for (const std::size_t bytes : sizes) std::free(take(bytes));
    return reached ? 0 : faults::fault_was_not_reached;
}

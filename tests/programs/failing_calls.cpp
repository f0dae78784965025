// What the system and libc are asked for fails, at every call in turn, and clocks go wrong, below each face over pages:
// requests fail as promised, blocks keep what was written into them, and all is well once calls succeed again.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

#include <cstdio>

int main() { std::puts("skipped: the sanitizers are in front of the same functions"); }

#else

#include "failing_calls.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <new>
#include <optional>

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

void require(bool holds, const char* what) noexcept {
    if (holds) return;
    std::fprintf(stderr, "check failed: %s\n", what);
    std::_Exit(1);
}

struct thing {
    std::array<std::uint64_t, 20> words;
};

tidepool::pool_options ages_fast(tidepool::block_source source) {
    tidepool::pool_options options;
    options.source = source;
    options.decay_interval = 2ms;
    return options;
}

// Null where the face throws std::bad_alloc. Another exception ends the program.
template <class Request>
void* or_null(const Request& request) noexcept {
    try {
        return request();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

struct pools {
    tidepool::pool_resource spans{ages_fast(tidepool::block_source::spans), tidepool::pages_upstream()};
    tidepool::pool_resource direct{ages_fast(tidepool::block_source::direct), tidepool::pages_upstream()};
    tidepool::block_pool packets{1500, 64, ages_fast(tidepool::block_source::spans), tidepool::pages_upstream()};
    tidepool::object_pool<thing> things;
};

constexpr std::size_t kinds = 5;
constexpr std::size_t sizes[]{24, 200, 1504, 5000, 30'000, 50'000, 400'000};

std::size_t size_of(std::size_t kind, std::size_t i) noexcept {
    return kind == 2 ? 1500 : kind == 4 ? sizeof(thing) : sizes[i % std::size(sizes)];
}
void* take(pools& from, std::size_t kind, std::size_t bytes) noexcept {
    switch (kind) {
        case 0:
            return or_null([&] { return from.spans.allocate(bytes, 8); });
        case 1:
            return or_null([&] { return from.direct.allocate(bytes, 8); });
        case 2:
            return from.packets.try_allocate();
        case 3:
            return or_null([&] { return tidepool::allocator<char>().allocate(bytes); });
        default:
            return or_null([&] { return from.things.get(); });
    }
}
void give(pools& to, std::size_t kind, void* p, std::size_t bytes) noexcept {
    switch (kind) {
        case 0:
            return to.spans.deallocate(p, bytes, 8);
        case 1:
            return to.direct.deallocate(p, bytes, 8);
        case 2:
            return to.packets.deallocate(p);
        case 3:
            return tidepool::allocator<char>().deallocate(static_cast<char*>(p), bytes);
        default:
            return to.things.put(static_cast<thing*>(p));
    }
}

void use(pools& all) noexcept {
    constexpr std::size_t count = 150;
    void* held[count];
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bytes = size_of(i % kinds, i);
        held[i] = take(all, i % kinds, bytes);
        if (held[i]) std::memset(held[i], static_cast<int>(i), bytes);
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (!held[i]) continue;
        const std::size_t bytes = size_of(i % kinds, i);
        const auto* p = static_cast<const unsigned char*>(held[i]);
        require(p[0] == i && p[bytes / 2] == i && p[bytes - 1] == i, "a block keeps its contents");
        give(all, i % kinds, held[i], bytes);
    }
    try {
        std::list<int, tidepool::pool_allocator<int> > numbers{all.spans};
        for (int i = 0; i < 100; ++i) numbers.push_back(i);
        require(numbers.back() == 99, "a list is whole");
    } catch (const std::bad_alloc&) {
    }
}

void live(pools& all) noexcept {
    use(all);
    pthread_t other;
    const auto body = [](void* its) -> void* {
        use(*static_cast<pools*>(its));
        return nullptr;
    };
    const bool begun = pthread_create(&other, nullptr, body, &all) == 0;
    use(all);
    if (begun) pthread_join(other, nullptr);
    for (int i = 0; i < 3; ++i) {
        const timespec nap{0, 2'000'000};
        nanosleep(&nap, nullptr);
        use(all);
        if (i == 1) tidepool::tick();
    }
    all.spans.trim();
    all.direct.trim();
    const pid_t child = fork();
    if (child == 0) {
        use(all);
        all.packets.trim();
        _exit(0);
    }
    int status = 0;
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child ends well");
    for (const auto& each : {all.spans.stats(), all.direct.stats(), all.packets.stats()})
        require(each.blocks_in_use == 0 && each.large_blocks == 0, "the books are balanced");
}

}  // namespace

int main(int, char** arguments) {
    alarm(getenv("FAULT") ? 60 : 280);
    if (!getenv("FAULT")) {
        faults::try_all(arguments);
        return 0;
    }
    faults::go();
    std::optional<pools> all;
    try {
        all.emplace();
    } catch (const std::bad_alloc&) {
    }
    if (all) live(*all);
    const bool reached = faults::reached();
    faults::no_more();
    if (!all) all.emplace();
    live(*all);
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        const std::size_t bytes = size_of(kind, kind);
        void* p = take(*all, kind, bytes);
        require(p, "there is memory again");
        give(*all, kind, p, bytes);
    }
    return reached ? 0 : faults::fault_was_not_reached;
}

#endif

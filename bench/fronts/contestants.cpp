#include "fronts/contestants.hpp"

#include <memory_resource>

#include <tidepool/pool_resource.hpp>

#include "fronts/turn.hpp"

#if defined(TIDEPOOL_BENCH_MIMALLOC)
#include <mimalloc.h>
#include <tidepool/mimalloc.hpp>
#endif
#if defined(TIDEPOOL_BENCH_JEMALLOC)
#include <adapters/jemalloc/names.hpp>
#include <tidepool/jemalloc.hpp>
#endif

namespace bench {

namespace {

// As containers call it; the compiler does not know which resource it is.
class through_resource {
public:
    explicit through_resource(std::pmr::memory_resource* resource) : resource_(opaque(resource)) {}
    void* take(std::size_t bytes) { return resource_->allocate(bytes); }
    void give(void* p, std::size_t bytes) { resource_->deallocate(p, bytes); }

private:
    std::pmr::memory_resource* resource_;
};

template <tidepool::upstream (*below)() noexcept>
class pool_over {
public:
    through_resource source() { return through_resource(&pool_); }

private:
    tidepool::pool_resource pool_{below()};
};

template <std::pmr::memory_resource* (*plain)() noexcept>
struct plain_resource {
    through_resource source() { return through_resource(plain()); }
};

// As a program calls its malloc.
template <void* (*take_from)(std::size_t), void (*give_to)(void*)>
struct plain_malloc {
    struct functions {
        void* take(std::size_t bytes) { return take_from(bytes); }
        void give(void* p, std::size_t) { give_to(p); }
    };
    functions source() { return {}; }
};

template <class Contestant>
front_turn turn(const front_bench& b, std::size_t n) {
    return front_job<Contestant>(b, n).run();
}

// `library` is one of front_libraries().
template <class Front, class Direct, class Resource>
void add(std::vector<front_contestant>& all, const front_library& library) {
    all.push_back({library.front, turn<Front>});
    all.push_back({library.direct, turn<Direct>});
    all.push_back({library.resource, turn<Resource>});
}

}  // namespace

const std::vector<front_contestant>& front_contestants() {
    static const std::vector<front_contestant> all = [] {
        std::vector<front_contestant> made;
#if defined(TIDEPOOL_BENCH_MIMALLOC)
        add<pool_over<tidepool::mimalloc_upstream>, plain_malloc<mi_malloc, mi_free>,
            plain_resource<tidepool::mimalloc_resource>>(made, front_libraries()[0]);
#endif
#if defined(TIDEPOOL_BENCH_JEMALLOC)
        add<pool_over<tidepool::jemalloc_upstream>, plain_malloc<tidepool_je_malloc, tidepool_je_free>,
            plain_resource<tidepool::jemalloc_resource>>(made, front_libraries()[1]);
#endif
        return made;
    }();
    return all;
}

}  // namespace bench

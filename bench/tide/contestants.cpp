#include "tide/contestants.hpp"

#include <malloc.h>

#include <adapters/jemalloc/names.hpp>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <tidepool/jemalloc.hpp>
#include <tidepool/mimalloc.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/stats.hpp>

namespace bench::tide {

namespace {

// An upstream as the program uses it for itself.
struct mimalloc {
    static tidepool::upstream upstream() { return tidepool::mimalloc_upstream(); }
    static std::pmr::memory_resource* plain() { return tidepool::mimalloc_resource(); }
    static void purge() { upstream().purge(); }  // mi_collect(true)
};

struct jemalloc {
    static tidepool::upstream upstream() { return tidepool::jemalloc_upstream(); }
    static std::pmr::memory_resource* plain() { return tidepool::jemalloc_resource(); }
    // All arenas, those that the program uses for itself among them.
    static void purge() {
        static_assert(tidepool_je::all_arenas == 4096);
        if (tidepool_je_mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) != 0)
            throw std::runtime_error("jemalloc refuses to purge");
    }
};

struct pages {
    static tidepool::upstream upstream() { return tidepool::pages_upstream(); }
    // mmap has no heap that one could go on with: another pool.
    static std::pmr::memory_resource* plain() {
        static tidepool::pool_resource other;
        return &other;
    }
    static void purge() {}
};

template <class Upstream>
class pool final : public contestant {
public:
    std::pmr::memory_resource* resource() override { return &pool_; }
    std::pmr::memory_resource* elsewhere() override { return Upstream::plain(); }
    void purge() override { Upstream::purge(); }
    std::uint64_t held() const override {
        const tidepool::stats now = pool_.stats();
        return now.bytes_cached + now.bytes_idle;
    }
    std::uint64_t from_upstream() const override { return pool_.stats().upstream_bytes; }

private:
    tidepool::pool_resource pool_{Upstream::upstream()};
};

template <class Upstream>
class bare final : public contestant {
public:
    std::pmr::memory_resource* resource() override { return Upstream::plain(); }
    std::pmr::memory_resource* elsewhere() override { return Upstream::plain(); }
    void purge() override { Upstream::purge(); }
};

class standard_pool final : public contestant {
public:
    std::pmr::memory_resource* resource() override { return &pool_; }
    std::pmr::memory_resource* elsewhere() override { return std::pmr::new_delete_resource(); }
    void purge() override { ::malloc_trim(0); }

private:
    std::pmr::synchronized_pool_resource pool_{std::pmr::new_delete_resource()};
};

template <class Contestant>
std::unique_ptr<contestant> one() {
    return std::make_unique<Contestant>();
}

struct named {
    std::string_view who;
    std::unique_ptr<contestant> (*make)();
};

constexpr named all[] = {
    {"tidepool/mimalloc", one<pool<mimalloc>>}, {"tidepool/jemalloc", one<pool<jemalloc>>},
    {"tidepool/pages", one<pool<pages>>},       {"mimalloc", one<bare<mimalloc>>},
    {"jemalloc", one<bare<jemalloc>>},          {"synchronized_pool", one<standard_pool>},
};

}  // namespace

std::unique_ptr<contestant> make(std::string_view who) {
    for (const named& each : all)
        if (each.who == who) return each.make();
    throw std::runtime_error("no contestant " + std::string(who));
}

}  // namespace bench::tide

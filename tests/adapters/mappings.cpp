// A process may have some 65 000 mappings. Memory that is freed between other memory must not cost one each.
#include <doctest/doctest.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "candidates.hpp"
#include "scale.hpp"

namespace {

std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);) ++count;
    return count;
}

// Spans are cut from regions over these.
std::vector<tidepool::upstream> with_regions() {
    std::vector<tidepool::upstream> all{tidepool::pages_upstream()};
#if defined(TIDEPOOL_TESTS_MIMALLOC)
    all.push_back(tidepool::mimalloc_upstream());
#endif
#if defined(TIDEPOOL_TESTS_JEMALLOC)
    all.push_back(tidepool::jemalloc_upstream());
#endif
    return all;
}

}  // namespace

TEST_CASE("a large heap of which every second span is freed has few mappings") {
    if (support::under_tsan) return;  // whose shadow of this memory has mappings of its own
    constexpr std::size_t span = std::size_t{128} << 10, alignment = std::size_t{64} << 10;
    constexpr std::size_t spans = (std::size_t{4} << 30) / span;  // not touched
    for (const tidepool::upstream& from : with_regions()) {
        CAPTURE(std::string(from.name()));
        const std::size_t before = mappings();
        REQUIRE(before > 0);
        std::vector<void*> out(spans);
        for (void*& p : out) REQUIRE((p = from.allocate(span, alignment)));
        for (std::size_t i = 0; i < spans; i += 2) from.deallocate(out[i], span, alignment);
        from.purge();
        CHECK(mappings() < before + 500);
        for (std::size_t i = 1; i < spans; i += 2) from.deallocate(out[i], span, alignment);
        from.purge();
        CHECK(mappings() < before + 100);
    }
}

#include "source/idle_spans.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "counting_upstream.hpp"
#include "died.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

template <>
struct test_peer<idle_spans> {
    static void miscount(idle_spans& idle) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        ++idle.lists_[0].count;
        idle.check();
    }
    static void expire_too_many(idle_spans& idle) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        idle.lists_[0].expired = idle.lists_[0].count + 1;
        idle.check();
    }
    static void unlink(idle_spans& idle) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        idle.lists_[0].spans.last()->links.previous = nullptr;
        idle.check();
    }
    static void lose_bytes(idle_spans& idle) TIDEPOOL_NO_THREAD_SAFETY_ANALYSIS {
        idle.bytes_ -= 1;
        idle.check();
    }
};

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

namespace detail = tidepool::detail;

namespace {

constexpr std::size_t small = 64U << 10, large = 256U << 10;

struct kit {
    explicit kit(std::size_t bytes_max = 64U << 20)
        : below(tidepool::upstream(books)), idle(below, records, bytes_max) {}

    std::vector<void*> take(std::size_t count, std::size_t bytes = small) {
        std::vector<void*> out;
        for (std::size_t i = 0; i < count; ++i) out.push_back(idle.take(bytes, false, detail::growth::beyond_peak));
        return out;
    }
    void keep(const std::vector<void*>& all, std::size_t bytes = small) {
        for (void* each : all) idle.keep(each, bytes);
    }
    void tick() {
        idle.age();
        idle.return_expired(1000);
    }

    support::counting_upstream books;
    detail::metered_upstream below;
    detail::arena records;
    detail::idle_spans idle;
};

}  // namespace

TEST_CASE("a request takes the newest idle span of its size") {
    kit k;
    const auto held = k.take(3);
    const auto wide = k.take(1, large);
    k.keep(held);
    k.keep(wide, large);
    CHECK(k.idle.bytes() == 3 * small + large);
    CHECK(k.take(1, large) == wide);
    CHECK(k.take(3) == std::vector<void*>(held.rbegin(), held.rend()));
    CHECK(k.idle.bytes() == 0);
    CHECK(k.books.counted().bytes_live() == 3 * small + large);
    k.keep(held);
    k.keep(wide, large);
    CHECK(k.idle.shrink(0) == 3 * small + large);
    CHECK(k.books.balanced());
}

TEST_CASE("memory grows beyond its peak only where that is allowed") {
    using detail::growth;
    kit k;
    const auto held = k.take(2);
    CHECK_FALSE(k.idle.take(small, false, growth::to_peak));
    k.keep(held);
    CHECK(k.idle.take(small, false, growth::to_peak) == held[1]);
    CHECK(k.idle.shrink(0) == small);
    void* again = k.idle.take(small, false, growth::to_peak);
    CHECK(again);
    CHECK_FALSE(k.idle.take(small, false, growth::to_peak));
    k.keep({held[1], again});
    k.idle.shrink(0);
    CHECK(k.books.balanced());
}

TEST_CASE("spans unused for a whole tick are returned, the oldest first") {
    kit k;
    const auto held = k.take(10);
    k.keep(held);
    k.tick();
    CHECK(k.idle.bytes() == 10 * small);  // they were kept after the previous tick
    const auto used = k.take(4);
    k.keep(used);
    k.tick();
    CHECK(k.idle.bytes() == 4 * small);
    CHECK(k.take(4) == std::vector<void*>(held.begin() + 6, held.end()));  // the newest first
    k.keep(used);
    k.tick();
    k.tick();
    CHECK(k.idle.bytes() == 0);
    CHECK(k.books.balanced());
}

TEST_CASE("expired spans are returned in slices, except those taken meanwhile") {
    kit k;
    k.keep(k.take(10));
    k.idle.age();
    k.idle.age();
    CHECK(k.idle.return_expired(3) == 3 * small);
    const auto used = k.take(5);
    CHECK(k.idle.return_expired(100) == 2 * small);
    CHECK(k.idle.return_expired(100) == 0);
    k.keep(used);
    CHECK(k.idle.return_expired(100) == 0);
    CHECK(k.idle.shrink(2 * small) == 3 * small);
    CHECK(k.idle.bytes() == 2 * small);
    CHECK(k.idle.shrink(0) == 2 * small);
    CHECK(k.books.balanced());
}

TEST_CASE("a span whose blocks decayed expires at once and can be taken until returned") {
    kit k;
    const auto held = k.take(4);
    k.keep({held[0]});
    for (std::size_t i = 1; i < 4; ++i) k.idle.keep_expired(held[i], small);
    CHECK(k.idle.expired() == 3);
    CHECK(k.take(2) == std::vector<void*>{held[0], held[1]});  // the oldest are the last to be taken
    CHECK(k.idle.expired() == 2);
    CHECK(k.idle.return_expired(100) == 2 * small);
    CHECK(k.idle.bytes() == 0);
    k.keep({held[0], held[1]});
    CHECK(k.idle.expired() == 0);
    k.idle.shrink(0);
    CHECK(k.books.balanced());
}

TEST_CASE("no more bytes are kept than the limit allows") {
    kit k(3 * small);
    k.keep(k.take(5));
    CHECK(k.idle.bytes() == 3 * small);
    CHECK(k.books.counted().bytes_live() == 3 * small);
    k.idle.shrink(0);
    CHECK(k.books.balanced());
}

TEST_CASE("check() finds idle spans with a wrong count, expiry or link") {
    kit k;
    k.idle.check();
    k.keep(k.take(5));
    k.keep(k.take(2, large), large);
    k.idle.age();
    k.idle.age();
    k.idle.check();
    using peer = detail::test_peer<detail::idle_spans>;
    CHECK(support::died([&] {
              peer::miscount(k.idle);
          }).said("idle spans of 65536 bytes: 6 are counted and 5 are linked"));
    CHECK(support::died([&] { peer::expire_too_many(k.idle); }).said("of 5, 5 were always there and 6 are expired"));
    CHECK(support::died([&] { peer::unlink(k.idle); }).said("the list of idle spans of 65536 bytes is broken"));
    CHECK(support::died([&] { peer::lose_bytes(k.idle); }).said("bytes and 7 expired are counted"));
    CHECK(k.idle.return_expired(100) == 5 * small + 2 * large);
    k.idle.check();
}

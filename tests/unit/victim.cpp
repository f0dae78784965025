// src: victim.hpp and local.hpp: the two generations of a local, and its books.
#include "cache/victim.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "base/arena.hpp"
#include "cache/local.hpp"
#include "cache/magazines.hpp"
#include "scale.hpp"
#include "threads.hpp"

namespace detail = tidepool::detail;

namespace {

constexpr std::size_t block_bytes = 100;
constexpr std::uint32_t size_max = 1024, classes = 3, size_class = 1;

// A local of three size classes, of which the tests use the middle one.
struct kit {
    detail::arena records;
    detail::magazine_slabs slabs;
    detail::magazine_stock stock;
    detail::local* part;
    std::vector<detail::magazine*> gone, emptied;

    kit() {
        auto* front = records.make<detail::local_head>(classes * sizeof(detail::magazine*));
        part = records.make<detail::local>(classes * sizeof(detail::cache_bin), front, nullptr, 5U, std::uint64_t{0});
        for (std::uint32_t c = 0; c < classes; ++c) {
            part->loaded(c) = &detail::no_magazine;
            ::new (&part->cache_bin_of(c)) detail::cache_bin;
        }
        stock.set_up(size_class, 16);
    }

    detail::cache_bin& cache_bin() { return part->cache_bin_of(size_class); }

    detail::magazine* with(std::uint32_t blocks) {
        detail::magazine* m = stock.take(slabs);
        m->set_count(blocks);
        return m;
    }
    bool push(detail::magazine* m) { return part->push(m, block_bytes, records, size_max); }
    bool rotate(std::uint32_t most = size_max) {
        gone.clear();
        emptied.clear();
        return detail::rotate(
            *part, size_class, block_bytes, records, most, [&](detail::magazine* m) { gone.push_back(m); },
            [&](detail::magazine* m) { emptied.push_back(m); });
    }
    std::uint64_t blocks_by_the_books() { return cache_bin().chained_blocks.get() - cache_bin().stolen_blocks.load(); }
};

}  // namespace

TEST_CASE("what is young becomes the victim at the first tick and goes down at the second") {
    kit k;
    detail::magazine* m = k.with(10);
    CHECK(k.push(m));
    CHECK(k.blocks_by_the_books() == 10);
    CHECK(k.part->bytes_chained() == 10 * block_bytes);
    CHECK(k.rotate());
    CHECK(k.gone.empty());
    CHECK(k.cache_bin().young_chain().empty());
    CHECK_FALSE(k.cache_bin().victim().empty());
    CHECK(k.blocks_by_the_books() == 10);
    CHECK_FALSE(k.rotate());
    CHECK(k.gone == std::vector{m});
    CHECK(k.blocks_by_the_books() == 0);
    CHECK(k.part->bytes_chained() == 0);
    CHECK_FALSE(k.rotate());
    CHECK(k.gone.empty());
}

TEST_CASE("the private magazines age with the chain, and empty ones are given up") {
    kit k;
    detail::magazine* loaded = k.with(10);
    detail::magazine* spare = k.with(16);
    for (int i = 0; i < 7; ++i) loaded->hit();
    spare->hit();
    k.part->loaded(size_class) = loaded;
    k.cache_bin().spare = spare;
    CHECK(k.rotate());
    CHECK_FALSE(detail::is_real(k.part->loaded(size_class)));
    CHECK(k.cache_bin().spare == nullptr);
    CHECK(k.blocks_by_the_books() == 18);
    CHECK(k.cache_bin().hits_private.get() == 8);
    CHECK(loaded->hits() == 0);
    CHECK(k.gone.empty());

    k.part->loaded(size_class) = k.with(0);
    CHECK_FALSE(k.rotate());
    CHECK(k.emptied.size() == 1);
    CHECK(std::set(k.gone.begin(), k.gone.end()) == std::set{loaded, spare});
    CHECK(k.blocks_by_the_books() == 0);
}

TEST_CASE("what is put after a tick is a generation younger") {
    kit k;
    detail::magazine *old = k.with(1), *fresh = k.with(2);
    CHECK(k.push(old));
    CHECK(k.rotate());
    CHECK(k.push(fresh));
    CHECK(k.rotate());
    CHECK(k.gone == std::vector{old});
    CHECK_FALSE(k.rotate());
    CHECK(k.gone == std::vector{fresh});
}

TEST_CASE("a magazine the chain has no room for goes down at once instead of being lost") {
    kit k;
    std::size_t held = 0;
    while (k.part->push(k.with(1), block_bytes, k.records, 8)) ++held;
    k.part->loaded(size_class) = k.with(5);
    CHECK(k.rotate(8));
    CHECK(k.gone.size() == 1);
    CHECK(k.gone[0]->count() == 5);
    CHECK(k.blocks_by_the_books() == held);
    CHECK_FALSE(k.rotate(8));
    CHECK(k.gone.size() == held);
}

TEST_CASE("a class that rests asks for less when it wakes") {
    kit k;
    k.cache_bin().refill_next = 100;
    k.rotate();
    CHECK(k.cache_bin().refill_next == 50);
    for (int i = 0; i < 10; ++i) k.rotate();
    CHECK(k.cache_bin().refill_next == 0);
}

TEST_CASE("other classes are left alone") {
    kit k;
    detail::magazine other_loaded(0, 1);
    other_loaded.set_count(1);
    k.part->loaded(0) = &other_loaded;
    k.push(k.with(1));
    k.rotate();
    k.rotate();
    CHECK(k.part->loaded(0) == &other_loaded);
    CHECK(other_loaded.count() == 1);
    CHECK_FALSE(detail::is_real(k.part->loaded(2)));
}

TEST_CASE("the books of a local hold with thieves at both generations") {
    kit k;
    constexpr std::size_t thieves = 3, rounds = support::scaled(200'000);
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> got{0}, garbled{0};
    std::uint64_t put = 0, gone = 0;
    support::on_threads(thieves + 1, [&](std::size_t me) {
        if (me < thieves) {
            std::uint64_t mine = 0;
            while (!over)
                for (auto generation : {&detail::cache_bin::young_chain, &detail::cache_bin::victim})
                    if (detail::magazine* m = k.part->stolen((k.cache_bin().*generation)().pop_tail(), block_bytes)) {
                        if (m->count() == 0 || m->count() > 16) ++garbled;
                        mine += m->count();
                        m->set_count(0);
                        k.stock.put(m);
                    }
            got += mine;
            return;
        }
        for (std::size_t i = 0; i < rounds; ++i) {
            detail::magazine* m = k.with(static_cast<std::uint32_t>(1 + i % 16));
            put += m->count();
            if (!k.push(m)) {
                put -= m->count();
                m->set_count(0);
                k.stock.put(m);
            }
            if (i % 64 == 0)
                detail::rotate(
                    *k.part, size_class, block_bytes, k.records, size_max,
                    [&](detail::magazine* due) {
                        gone += due->count();
                        due->set_count(0);
                        k.stock.put(due);
                    },
                    [&](detail::magazine* empty) { k.stock.put(empty); });
        }
        over = true;
    });
    CHECK(garbled == 0);
    CHECK(put == got + gone + k.blocks_by_the_books());
    CHECK(k.part->bytes_chained() == k.blocks_by_the_books() * block_bytes);
    std::uint64_t left = 0;
    for (detail::chain<detail::magazine>& each : k.cache_bin().chains)
        while (detail::magazine* m = k.part->stolen(each.pop_tail(), block_bytes)) left += m->count();
    CHECK(put == got + gone + left);
    CHECK(k.blocks_by_the_books() == 0);
    CHECK(k.part->bytes_chained() == 0);
}

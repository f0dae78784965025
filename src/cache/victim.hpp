// The previous generation. A tick turns what is young into the victim and hands the former victim down, so stock that
// nobody takes lives for at least one tick and at most two. Taking a magazine back from the victim makes it young
// again.
//
// Source of the algorithm: Go's sync package, pool.go (poolCleanup), there per processor under stop-the-world; here per
// local and size class, with the owner kept out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/arena.hpp"
#include "cache/local.hpp"
#include "cache/magazines.hpp"

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/fast_path.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// Owner. Adds the hits of a magazine that leaves the private part to the books.
inline void fold_hits(cache_bin& r, magazine& m) noexcept { r.hits_private.add(m.take_hits()); }

// Owner. Empties the private part of one size class: each magazine that holds something goes to keep(m), each other one
// to empty(m).
template <class Keep, class Empty>
void empty_private(local& part, std::uint32_t size_class, Keep keep, Empty empty) noexcept {
    cache_bin& r = part.cache_bin_of(size_class);
    magazine*& loaded = part.loaded(size_class);
    for (magazine* m : {is_real(loaded) ? loaded : nullptr, r.spare}) {
        if (!m) continue;
        fold_hits(r, *m);
        part.account_out(r, m);
        if (m->empty())
            empty(m);
        else
            keep(m);
    }
    loaded = &no_magazine;
    r.spare = nullptr;
}

// Owner. Ages one size class by a tick. What is due to go goes to down(m), empty magazines to empty(m). True when there
// is a victim now. Bounded by the magazines of the class.
template <class Down, class Empty>
bool rotate(local& part, std::uint32_t size_class, std::size_t block_bytes, arena& rings, std::uint32_t size_max,
            Down down, Empty empty) noexcept {
    cache_bin& r = part.cache_bin_of(size_class);
    while (magazine* m = part.taken(r.victim().pop_tail(), block_bytes)) down(m);
    empty_private(
        part, size_class,
        [&](magazine* m) {
            if (!part.push(m, block_bytes, rings, size_max)) down(m);
        },
        empty);
    r.flip();
    r.refill_next = r.refill_next / 2;  // a class that rests asks for less when it wakes
    return !r.victim().empty();
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

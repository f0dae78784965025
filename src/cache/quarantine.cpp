// A bin with a quarantine, in a hardened build: what is given lies in a magazine of its own and then in the young
// chain. From neither it is taken before a tick, unless the chains are half full: then what came first is.
#include <algorithm>

#include "cache/bin.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

namespace {

constexpr std::uint64_t rests_least = 4;  // magazines

}  // namespace

// As give_chain().
bool bin::rest_in_chain(void* block, std::uint64_t depot_bytes_max) noexcept {
    if (given_.begin) {
        if (!local_.may_chain(depot_.magazine_bytes, depot_bytes_max)) return false;
        magazine* full = hide_in(given_);
        if (!push(full)) {
            show_in(given_, full);
            return false;
        }
        depot_.young.raise(local_.number);
        account_out(full);
    } else if (over_private_limit()) {
        shed_private();
    }
    magazine* fresh = take_empty();
    if (!fresh) return false;
    local_.classes_ = std::max(local_.classes_, size_class_ + 1);  // as load()
    fresh->push(block);
    show_in(given_, account_in(fresh));
    return true;
}

// So that a thread that takes and frees all the time need not go to the source for it.
void* bin::take_rested() noexcept {
    if (local_.bytes_chained() < all().limits.local_bytes_max / 2) return nullptr;
    if (local_.blocks_chained(size_class_) < rests_least * depot_.stock.capacity()) return nullptr;
    magazine* m = pop(bin_.chain_of(generation::young).pop_tail());
    if (!m) return nullptr;
    bin_.counted.hits_chain.add(1);
    return take_from(m);
}

// In place of a full magazine: what has rested longest, or what was given last where nothing rests.
magazine* bin::detach_oldest() noexcept {
    if (magazine* oldest = pop(bin_.chain_of(generation::young).pop_tail())) return oldest;
    magazine* full = hide_in(given_);
    return full ? account_out(full) : nullptr;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

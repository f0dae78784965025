#include "cache/bin.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/fatal.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// ---- to the program and back

void* bin::take_private() noexcept {
    if (hot_.empty()) {
        if (!bin_.spare || bin_.spare->empty() || quarantine()) return nullptr;
        swap_with_spare();
    }
    --hot_.hits_left;
    return *--hot_.top;
}

void* bin::take_chain() noexcept {
    magazine* m = pop(bin_.chain_of(generation::young).pop_head());
    if (!m) return nullptr;
    bin_.counted.hits_chain.add(1);
    local_.repay(local::borrow_step);  // lest a swing around it goes to the depot each time
    if (bin_.spare && bin_.spare->empty()) bin_.empties.push(account_out(std::exchange(bin_.spare, nullptr)));
    const std::uint64_t magazines = local_.blocks_chained(size_class_) / depot_.stock.capacity();
    if (magazines < bin_.surplus.load(std::memory_order_relaxed))
        bin_.surplus.store(static_cast<std::uint16_t>(magazines), std::memory_order_relaxed);
    return take_from(m);
}

void* bin::take_from(magazine* m) noexcept {
    void* block = m->pop();
    load(m);
    return block;
}

bool bin::give_private(void* block) noexcept {
    if (given_.full()) {
        if (!bin_.spare || bin_.spare->full() || quarantine()) return false;
        swap_with_spare();
    }
    *given_.top++ = block;
    return true;
}

bool bin::give_chain(void* block, std::uint64_t depot_bytes_max) noexcept {
    if (quarantine()) return rest_in_chain(block, depot_bytes_max);
    const bool over_limit = over_private_limit();
    if (bin_.spare || (over_limit && hot_.begin)) {
        if (!local_.may_chain(depot_.magazine_bytes, depot_bytes_max)) return false;
        magazine* full = bin_.spare ? std::exchange(bin_.spare, nullptr) : hide();
        if (!push(full)) {
            hot_.begin ? static_cast<void>(bin_.spare = full) : show(full);
            return false;
        }
        depot_.young.raise(local_.number);
        account_out(full);
    } else if (over_limit) {
        shed_private();
    }
    magazine* fresh = take_empty();
    if (!fresh) return false;
    fresh->push(block);
    load(fresh);
    return true;
}

bool bin::holds_lately(const void* block) const noexcept {
    constexpr std::size_t lately = 8;
    const auto is_in = [&](void* const* begin, std::size_t count) {
        return std::find(begin + count - std::min(count, lately), begin + count, block) != begin + count;
    };
    return is_in(hot_.begin, hot_.count()) || (bin_.spare && is_in(bin_.spare->blocks(), bin_.spare->count()));
}

// Whether a further private magazine might take the local above its bound, were all of them full.
bool bin::over_private_limit() noexcept {
    return local_.private_bytes_ + depot_.magazine_bytes > all().limits.private_bytes_max;
}

// Other classes' private magazines go down, one class after the other, until what all really hold is within the bound.
void bin::shed_private() noexcept {
    const std::uint32_t classes = all().sizes.count;
    std::uint64_t held = depot_.magazine_bytes;
    for (std::uint32_t c = 0; c < classes; ++c) held += bin(local_, c).private_blocks() * all()[c].block_bytes;
    for (std::uint32_t i = 0; i < classes && held > all().limits.private_bytes_max; ++i) {
        const std::uint32_t c = local_.shed_next_++ % classes;
        if (c == size_class_) continue;
        bin other(local_, c);
        held -= other.private_blocks() * other.depot_.block_bytes;
        other.empty_to_outgoing();
    }
}

// ---- magazines

void bin::load(magazine* m) noexcept {
    local_.classes_ = std::max(local_.classes_, size_class_ + 1);  // the only way in, so ticks need not look further
    magazine* before = hide();
    show(account_in(m));
    if (!before) return;
    if (bin_.spare && bin_.spare->empty()) depot_.stock.put(account_out(std::exchange(bin_.spare, nullptr)));
    if (!bin_.spare) {
        bin_.spare = before;
        return;
    }
    account_out(before);
    if (before->empty())
        depot_.stock.put(before);
    else if (local_.may_chain(depot_.magazine_bytes, 0))
        push_or_send(before);
    else
        all().leaving.send(before);
}

magazine* bin::detach_empty() noexcept {
    if (bin_.spare && bin_.spare->empty()) return account_out(std::exchange(bin_.spare, nullptr));
    if (hot_.begin && hot_.empty()) return account_out(hide());
    return take_empty();
}

// Null when there is no memory for one.
magazine* bin::take_empty() noexcept {
    magazine* m = bin_.empties.pop();
    return m ? m : depot_.stock.take(all().slabs);
}

magazine* bin::detach_full() noexcept {
    if (quarantine()) return detach_oldest();
    magazine* full = hide();
    if (bin_.spare) std::swap(full, bin_.spare);
    return full ? account_out(full) : nullptr;
}

std::uint32_t bin::next_refill() noexcept {
    const std::uint32_t asked = std::uint32_t{1} << bin_.refill_log2;
    const std::uint32_t wanted = std::clamp(asked, depot_.refill_first, depot_.stock.capacity());
    bin_.refill_log2 = static_cast<std::uint8_t>(std::bit_width(wanted));  // twice as many
    return wanted;
}

// Needs a spare. Where nothing was loaded, none is left.
void bin::swap_with_spare() noexcept {
    magazine* before = hide();
    show(std::exchange(bin_.spare, before));
}

void bin::show_in(hot_bin& its, magazine* m) noexcept {
    its.begin = m->blocks();
    its.top = its.begin + m->count();
    its.end = its.begin + m->capacity();
}

magazine* bin::hide_in(hot_bin& its) noexcept {
    magazine* m = loaded_in(its);
    if (m) m->set_count(its.count());
    its.top = its.begin = its.end = nullptr;
    return m;
}

void bin::count_hits() noexcept {
    bin_.counted.hits_private.add(uncounted_hits());
    hot_.hits_left = hot_.hits_granted = std::max(hot_.hits_left, 0);
}

void bin::look(look_pace::time now) noexcept {
    const auto used = static_cast<std::int32_t>(uncounted_hits());
    count_hits();
    hot_.hits_left = hot_.hits_granted = bin_.pace.next(now, all().looks_apart, used);
}

void bin::shorten_look() noexcept {
    count_hits();
    hot_.hits_left = hot_.hits_granted = std::min(hot_.hits_left, look_pace::hits_first);
}

void bin::shorten_looks(look_pace::time now) noexcept {
    if (now - local_.looks_shortened_ < all().looks_apart) return;
    local_.looks_shortened_ = now;
    for (std::uint32_t c = 0; c < local_.classes_; ++c) bin(local_, c).shorten_look();
}

magazine* bin::account_in(magazine* m) noexcept {
    local_.private_bytes_ += depot_.magazine_bytes;
    return m;
}
magazine* bin::account_out(magazine* m) noexcept {
    local_.private_bytes_ -= depot_.magazine_bytes;
    return m;
}

// ---- the chains

// To the head of the young chain. False when there is no room. Needs m not empty.
bool bin::push(magazine* m) noexcept {
    const std::size_t count = m->count();  // once pushed, a thief may have it
    if (!bin_.chain_of(generation::young).push_head(m, all().records, depot::chain_slots_max)) return false;
    bin_.chained_blocks.add(count);
    local_.chained_bytes_.add(count * depot_.block_bytes);
    return true;
}

void bin::push_or_send(magazine* m) noexcept {
    if (push(m))
        depot_.young.raise(local_.number);
    else
        all().leaving.send(m);
}

// The books after a pop of the owner's own.
magazine* bin::pop(magazine* m) noexcept {
    if (m) {
        bin_.chained_blocks.subtract(m->count());
        local_.chained_bytes_.subtract(m->count() * depot_.block_bytes);
    }
    return m;
}

// ---- upkeep

bool bin::unused() noexcept {
    return !hot_.begin && !given_.begin && !bin_.spare && bin_.empties.empty() &&
           bin_.chain_of(generation::young).empty() && bin_.chain_of(generation::old).empty();
}

// Each private magazine that holds something goes to keep(m), each other one to the stock.
template <class Keep>
void bin::empty_private(Keep keep) noexcept {
    count_hits();
    magazine* const loaded = hide();
    for (magazine* m : {loaded, hide_in(given_), std::exchange(bin_.spare, nullptr)}) {
        if (!m) continue;
        account_out(m);
        if (m->empty())
            depot_.stock.put(m);
        else
            keep(m);
    }
    while (magazine* m = bin_.empties.pop()) depot_.stock.put(m);
}

void bin::empty_to_chain() noexcept {
    if (quarantine()) return empty_to_outgoing();  // nobody may take it before a tick
    empty_private([this](magazine* m) { push_or_send(m); });
    bin_.surplus.store(cache_bin::all_surplus, std::memory_order_relaxed);  // its owner is going, or gone
}

void bin::empty_to_outgoing() noexcept {
    empty_private([this](magazine* m) { all().leaving.send(m); });
}

void bin::rotate() noexcept {
    if (unused()) return;
    while (magazine* m = pop(bin_.chain_of(generation::old).pop_tail())) all().leaving.send(m);
    // Not offered to thieves as young: it is about to be old.
    empty_private([this](magazine* m) {
        if (!push(m)) all().leaving.send(m);
    });
    bin_.flip();
    if (bin_.refill_log2 > 0) --bin_.refill_log2;  // a class that rests asks for less when it wakes
    if (!bin_.chain_of(generation::old).empty()) depot_.old.raise(local_.number);
}

std::uint64_t bin::check(bool still) const noexcept {
    for (const chain<magazine>& each : bin_.chains) each.check(still);
    if (still) {
        depot_.young.check(local_.number, !bin_.chain_of(generation::young).empty());
        depot_.old.check(local_.number, !bin_.chain_of(generation::old).empty());
    }
    if (hot_.top < hot_.begin || hot_.top > hot_.end || hot_.hits_left > hot_.hits_granted)
        fatal("local %u, size class %u: %td of %td blocks are loaded, and %d of %d hits left", local_.number,
              size_class_, hot_.top - hot_.begin, hot_.end - hot_.begin, hot_.hits_left, hot_.hits_granted);
    std::uint64_t bytes = 0;
    magazine* const given = quarantine() ? loaded_in(given_) : nullptr;
    for (const magazine* m : {loaded(), given, bin_.spare}) {
        if (!m) continue;
        bytes += depot_.magazine_bytes;
        if (m->size_class() != size_class_ || m->count() > m->capacity())
            fatal("local %u has a magazine of size class %u with %zu of %zu blocks among those of class %u",
                  local_.number, m->size_class(), m->count(), m->capacity(), size_class_);
    }
    bin_.empties.for_each([this](const magazine& m) {
        if (!m.empty() || m.size_class() != size_class_)
            fatal("local %u has a magazine of size class %u with %zu blocks among the empty ones of class %u",
                  local_.number, m.size_class(), m.count(), size_class_);
    });
    if (size_class_ >= local_.classes_ && bytes > 0)
        fatal("local %u has a magazine of size class %u and says that it has none from class %u on", local_.number,
              size_class_, local_.classes_);
    return bytes;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

#include "cache/bin.hpp"

#include <algorithm>
#include <utility>

#include "base/fatal.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace detail {

// ---- to the program and back

void* bin::take_private() noexcept {
    if (loaded_->empty()) {
        if (!bin_.spare || bin_.spare->empty()) return nullptr;
        swap_with_spare();
    }
    return loaded_->hit();
}

void* bin::take_chain() noexcept {
    magazine* m = pop(bin_.chain_of(generation::young).pop_head());
    if (!m) return nullptr;
    bin_.counted.hits_chain.add(1);
    return take_from(m);
}

void* bin::take_from(magazine* m) noexcept {
    void* block = m->pop();
    load(m);
    return block;
}

bool bin::give_private(void* block) noexcept {
    if (loaded_->full()) {
        if (!bin_.spare || bin_.spare->full()) return false;
        swap_with_spare();
    }
    loaded_->push(block);
    return true;
}

bool bin::give_chain(void* block) noexcept {
    const bool over_limit = over_private_limit();
    if (bin_.spare || (over_limit && is_real(loaded_))) {
        magazine* full = bin_.spare ? bin_.spare : loaded_;
        if (local_.bytes_chained() + bin_.magazine_bytes > all().limits.local_bytes_max) return false;
        if (full == loaded_) count_hits(*full);
        if (!push(full)) return false;
        depot_.young.raise(local_.number);
        account_out(full);
        if (bin_.spare)
            bin_.spare = nullptr;
        else
            loaded_ = &no_magazine;
    } else if (over_limit) {
        shed_private();
    }
    magazine* fresh = depot_.stock.take(all().slabs);
    if (!fresh) return false;
    fresh->push(block);
    load(fresh);
    return true;
}

// Whether a further private magazine might take the local above its bound, were all of them full.
bool bin::over_private_limit() noexcept {
    return local_.private_bytes_ + bin_.magazine_bytes > all().limits.private_bytes_max;
}

// Other classes' private magazines go down, one class after the other, until what all really hold is within the bound.
void bin::shed_private() noexcept {
    const std::uint32_t classes = all().sizes.count;
    std::uint64_t held = bin_.magazine_bytes;
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
    magazine* before = std::exchange(loaded_, account_in(m));
    if (!is_real(before)) return;
    count_hits(*before);
    if (bin_.spare && bin_.spare->empty()) depot_.stock.put(account_out(std::exchange(bin_.spare, nullptr)));
    if (!bin_.spare) {
        bin_.spare = before;
        return;
    }
    account_out(before);
    if (before->empty())
        depot_.stock.put(before);
    else
        push_or_send(before);
}

magazine* bin::detach_empty() noexcept {
    if (bin_.spare && bin_.spare->empty()) return account_out(std::exchange(bin_.spare, nullptr));
    if (is_real(loaded_) && loaded_->empty()) {
        count_hits(*loaded_);
        return account_out(std::exchange(loaded_, &no_magazine));
    }
    return depot_.stock.take(all().slabs);
}

magazine* bin::detach_full() noexcept {
    magazine* loaded = std::exchange(loaded_, &no_magazine);
    if (!is_real(loaded)) return bin_.spare ? account_out(std::exchange(bin_.spare, nullptr)) : nullptr;
    count_hits(*loaded);
    account_out(loaded);
    return bin_.spare ? std::exchange(bin_.spare, loaded) : loaded;
}

std::uint32_t bin::next_refill() noexcept {
    const std::uint32_t wanted =
        std::clamp(std::uint32_t{bin_.refill_next}, depot_.refill_first, depot_.stock.capacity());
    bin_.refill_next = static_cast<std::uint16_t>(wanted * 2);
    return wanted;
}

// Needs a spare. Where nothing was loaded, none is left.
void bin::swap_with_spare() noexcept {
    magazine* before = loaded_;
    if (is_real(before)) count_hits(*before);
    loaded_ = std::exchange(bin_.spare, is_real(before) ? before : nullptr);
}

magazine* bin::account_in(magazine* m) noexcept {
    local_.private_bytes_ += bin_.magazine_bytes;
    return m;
}
magazine* bin::account_out(magazine* m) noexcept {
    local_.private_bytes_ -= bin_.magazine_bytes;
    return m;
}

// ---- the chains

// To the head of the young chain. False when there is no room. Needs m not empty.
bool bin::push(magazine* m) noexcept {
    const std::size_t count = m->count();  // once pushed, a thief may have it
    if (!bin_.chain_of(generation::young).push_head(m, all().records, depot_.chain_max)) return false;
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
    return !is_real(loaded_) && !bin_.spare && bin_.chain_of(generation::young).empty() &&
           bin_.chain_of(generation::old).empty();
}

// Each private magazine that holds something goes to keep(m), each other one to the stock.
template <class Keep>
void bin::empty_private(Keep keep) noexcept {
    for (magazine* m : {is_real(loaded_) ? loaded_ : nullptr, bin_.spare}) {
        if (!m) continue;
        count_hits(*m);
        account_out(m);
        if (m->empty())
            depot_.stock.put(m);
        else
            keep(m);
    }
    loaded_ = &no_magazine;
    bin_.spare = nullptr;
}

void bin::empty_to_chain() noexcept {
    empty_private([this](magazine* m) { push_or_send(m); });
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
    bin_.refill_next = bin_.refill_next / 2;  // a class that rests asks for less when it wakes
    if (!bin_.chain_of(generation::old).empty()) depot_.old.raise(local_.number);
}

std::uint64_t bin::check(bool still) const noexcept {
    for (const chain<magazine>& each : bin_.chains) each.check(still);
    if (still) {
        depot_.young.check(local_.number, !bin_.chain_of(generation::young).empty());
        depot_.old.check(local_.number, !bin_.chain_of(generation::old).empty());
    }
    std::uint64_t bytes = 0;
    for (const magazine* m : {is_real(loaded_) ? loaded_ : nullptr, bin_.spare}) {
        if (!m) continue;
        bytes += bin_.magazine_bytes;
        if (m->size_class() != size_class_ || m->count() > m->capacity())
            fatal("local %u has a magazine of size class %u with %zu of %zu blocks among those of class %u",
                  local_.number, m->size_class(), m->count(), m->capacity(), size_class_);
    }
    if (size_class_ >= local_.classes_ && bytes > 0)
        fatal("local %u has a magazine of size class %u and says that it has none from class %u on", local_.number,
              size_class_, local_.classes_);
    return bytes;
}

}  // namespace detail
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

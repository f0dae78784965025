// An upstream that knows what it gave: each block comes back once, as it was allocated, and with nothing of the
// program's in it. It fails on request.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <new>

#include "live_blocks.hpp"
#include "require.hpp"

namespace fuzz {

class books {
public:
    explicit books(live_blocks& live) noexcept : live_(live) {}
    books(const books&) = delete;
    books& operator=(const books&) = delete;
    ~books() { require(given_.empty(), "an upstream has all back; it lacks %zu blocks", given_.size()); }

    // The n-th from now on fails, and `count` - 1 after it.
    void fail(std::uint64_t n, std::uint64_t count) noexcept {
        const std::lock_guard hold(lock_);
        until_failure_ = n;
        failures_left_ = count;
    }
    bool may_fail() noexcept {
        const std::lock_guard hold(lock_);
        return failures_left_ > 0;
    }

    // While a pool gives up what the program still has.
    void released(bool now) noexcept { released_.store(now, std::memory_order_relaxed); }  // relaxed: one thread runs

    std::uint64_t bytes() noexcept {
        const std::lock_guard hold(lock_);
        return bytes_;
    }

    void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        const std::lock_guard hold(lock_);
        if (fails() || bytes > bytes_max) return nullptr;
        void* p = ::operator new (bytes, std::align_val_t{alignment}, std::nothrow);
        require(p, "there is memory");
        given_.emplace(p, shape{bytes, alignment});
        bytes_ += bytes;
        return p;
    }

    void deallocate(void* p, std::size_t bytes, std::size_t alignment) noexcept {
        {
            const std::lock_guard hold(lock_);
            const auto found = given_.find(p);
            require(found != given_.end(), "%p, which an upstream got back, is its", p);
            require(found->second.bytes == bytes && found->second.alignment == alignment,
                    "%p of %zu bytes aligned to %zu came back as %zu and %zu", p, found->second.bytes,
                    found->second.alignment, bytes, alignment);
            given_.erase(found);
            bytes_ -= bytes;
        }
        require(released_.load(std::memory_order_relaxed) || !live_.any_in(p, bytes),
                "%p, which an upstream got back, has no live block", p);
        ::operator delete (p, std::align_val_t{alignment});
    }

    static const char* name() noexcept { return "books"; }

    static constexpr std::size_t bytes_max = std::size_t{64} << 20;

private:
    struct shape {
        std::size_t bytes = 0, alignment = 0;
    };

    bool fails() noexcept {
        if (failures_left_ == 0 || (until_failure_ != 0 && --until_failure_ != 0)) return false;
        --failures_left_;
        return true;
    }

    live_blocks& live_;
    std::atomic<bool> released_{false};
    std::mutex lock_;  // guards all below
    std::map<void*, shape> given_;
    std::uint64_t bytes_ = 0;
    std::uint64_t until_failure_ = 0, failures_left_ = 0;
};

}  // namespace fuzz

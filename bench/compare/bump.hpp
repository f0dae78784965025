// The least that a memory resource can do: a pointer that goes up, and nothing on the way back. The floor for `pair`.
// One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <new>

namespace bench {

class bump_resource final : public std::pmr::memory_resource {
public:
    // The buffer is written once here, so that no page fault falls into a round.
    explicit bump_resource(std::size_t bytes) : buffer_(new std::byte[bytes]), end_(address() + bytes) {
        std::memset(buffer_.get(), 1, bytes);
        reset();
    }

    // Everything is free again.
    void reset() { next_ = address(); }

private:
    std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(buffer_.get()); }

    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        const std::uintptr_t block = (next_ + alignment - 1) & ~(alignment - 1);
        if (bytes > end_ - block) [[unlikely]]
            throw std::bad_alloc();
        next_ = block + bytes;
        return reinterpret_cast<void*>(block);
    }
    void do_deallocate(void*, std::size_t, std::size_t) override {}
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

    std::unique_ptr<std::byte[]> buffer_;
    std::uintptr_t end_;
    std::uintptr_t next_ = 0;
};

}  // namespace bench

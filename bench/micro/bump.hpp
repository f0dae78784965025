// The least that a memory resource can do: a pointer that goes up, and nothing on the way back. The floor for `pair`.
// One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>

namespace bench {

class bump_resource final : public std::pmr::memory_resource {
public:
    // The buffer is written once here, so that no page fault falls into a round.
    bump_resource() { std::memset(buffer_.get(), 1, bytes); }

private:
    static constexpr std::size_t bytes = 128U << 20;

    // At the end it starts anew: its blocks are then long given back.
    void* do_allocate(std::size_t size, std::size_t alignment) override {
        std::uintptr_t block = (next_ + alignment - 1) & ~(alignment - 1);
        if (size > end_ - block) [[unlikely]]
            block = end_ - bytes;
        next_ = block + size;
        return reinterpret_cast<void*>(block);
    }
    void do_deallocate(void*, std::size_t, std::size_t) override {}
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

    std::unique_ptr<std::byte[]> buffer_{new std::byte[bytes]};
    std::uintptr_t next_ = reinterpret_cast<std::uintptr_t>(buffer_.get());
    std::uintptr_t end_ = next_ + bytes;
};

}  // namespace bench

// Who is measured: a memory resource, the allocator below it that the rest of the program uses, and its purge.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string_view>

namespace bench::tide {

class contestant {
public:
    virtual ~contestant() = default;
    virtual std::pmr::memory_resource* resource() = 0;
    // The upstream itself, past any pool: where the program goes on allocating.
    virtual std::pmr::memory_resource* elsewhere() = 0;
    // The upstream gives what it has idle to the operating system, as far as it can be asked to.
    virtual void purge() = 0;
    // Bytes that a Tidepool has idle, in its magazines and in whole spans. Any thread.
    virtual std::uint64_t held() const { return 0; }
    // Bytes that it has from its upstream.
    virtual std::uint64_t from_upstream() const { return 0; }
};

// Throws std::runtime_error where there is none of that name.
std::unique_ptr<contestant> make(std::string_view who);

}  // namespace bench::tide

// Memory in pages of its own that goes away again: what is made in it leaves no trace in the heap that the contestants
// get to see.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <memory_resource>
#include <system_error>

namespace bench {

class pages {
public:
    explicit pages(std::size_t bytes)
        : bytes_(bytes),
          at_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        if (at_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    }
    pages(const pages&) = delete;
    pages& operator=(const pages&) = delete;
    ~pages() { ::munmap(at_, bytes_); }

    char* data() const { return static_cast<char*>(at_); }
    std::size_t size() const { return bytes_; }

private:
    std::size_t bytes_;
    void* at_;
};

class scratch {
public:
    std::pmr::memory_resource* resource() { return &resource_; }

private:
    pages pages_{std::size_t{256} << 20};
    std::pmr::monotonic_buffer_resource resource_{pages_.data(), pages_.size()};
};

}  // namespace bench

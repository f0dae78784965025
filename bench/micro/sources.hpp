// Where a micro bench takes its 64-byte blocks from and gives them back to: one small type for each way of calling, so
// that one loop serves all of them and every memory resource runs through the very same instructions.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>
#include <string>
#include <utility>
#include <vector>

#include <tidepool/tidepool.hpp>

#include "compare/peers.hpp"
#include "support/bench.hpp"
#include "support/escape.hpp"

namespace bench {

inline constexpr std::size_t block_bytes = 64;

struct block {
    std::byte bytes[block_bytes];
};

// Through std::pmr::memory_resource*, as containers call it.
class resource_source {
public:
    explicit resource_source(std::pmr::memory_resource* resource) : resource_(opaque(resource)) {}
    void* take() { return resource_->allocate(block_bytes); }
    void give(void* p) { resource_->deallocate(p, block_bytes); }

private:
    std::pmr::memory_resource* resource_;
};

// tidepool::allocator<T>, as containers call it.
class allocator_source {
public:
    void* take() { return tidepool::allocator<block>().allocate(1); }
    void give(void* p) { tidepool::allocator<block>().deallocate(static_cast<block*>(p), 1); }
};

class block_pool_source {
public:
    explicit block_pool_source(tidepool::block_pool* pool) : pool_(opaque(pool)) {}
    void* take() { return pool_->allocate(); }
    void give(void* p) { pool_->deallocate(p); }

private:
    tidepool::block_pool* pool_;
};

// Go's sync.Pool: Get and Put of a live object, one object to a magazine.
class object_pool_source {
public:
    explicit object_pool_source(tidepool::object_pool<block>* pool) : pool_(opaque(pool)) {}
    void* take() { return pool_->get(); }
    void give(void* p) { pool_->put(static_cast<block*>(p)); }

private:
    tidepool::object_pool<block>* pool_;
};

// A candidate for each peer that may be used by that many threads, as loop(source, shared_ptr keeping it alive).
template <class Loop>
std::vector<candidate> resource_candidates(unsigned threads, Loop loop) {
    std::vector<candidate> all;
    for (const peer_kind& kind : peers())
        if (threads == 1 || kind.any_thread)
            all.push_back({std::string(kind.who), [kind, loop] {
                               std::shared_ptr<peer> alive = kind.make();
                               return loop(resource_source(alive->resource()), alive);
                           }});
    return all;
}

// The same for Tidepool's other faces.
template <class Loop>
std::vector<candidate> face_candidates(Loop loop) {
    return {
        {"tidepool::allocator", [loop] { return loop(allocator_source(), std::shared_ptr<void>()); }},
        {"tidepool::block_pool",
         [loop] {
             auto pool = std::make_shared<tidepool::block_pool>(block_bytes);
             return loop(block_pool_source(pool.get()), pool);
         }},
        {"tidepool::object_pool",
         [loop] {
             auto pool = std::make_shared<tidepool::object_pool<block>>();
             return loop(object_pool_source(pool.get()), pool);
         }},
    };
}

inline std::vector<candidate> joined(std::vector<candidate> first, std::vector<candidate> second) {
    for (candidate& each : second) first.push_back(std::move(each));
    return first;
}

}  // namespace bench

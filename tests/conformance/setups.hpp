// The sources and upstreams of a pool, for tests that must hold for all of them.
#pragma once

#include <chrono>
#include <memory_resource>
#include <vector>

#include <tidepool/options.hpp>
#include <tidepool/upstream.hpp>

namespace conformance {

struct setup {
    const char* name;
    tidepool::block_source source;
    tidepool::upstream from;
};

inline std::vector<setup> every_setup() {
    using enum tidepool::block_source;
    return {
        {"spans of pages", spans, tidepool::pages_upstream()},
        {"spans of libc", spans, tidepool::libc_upstream()},
        {"spans of a memory resource", spans, std::pmr::new_delete_resource()},
        {"direct from pages", direct, tidepool::pages_upstream()},
        {"direct from libc", direct, tidepool::libc_upstream()},
        {"direct from a memory resource", direct, std::pmr::new_delete_resource()},
    };
}

// Options of a pool that ages by explicit ticks only.
inline tidepool::pool_options hand_ticked(tidepool::block_source source = tidepool::block_source::spans) {
    return {.decay_interval = std::chrono::milliseconds(0), .source = source};
}

inline tidepool::object_pool_options hand_ticked_objects(std::size_t magazine_capacity = 1) {
    return {.magazine_capacity = magazine_capacity, .decay_interval = std::chrono::milliseconds(0)};
}

}  // namespace conformance

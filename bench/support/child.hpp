// Work in a process of its own, so that one bench's heap, caches of blocks and threads are not the next one's start.
#pragma once

#include <functional>

#include <nlohmann/json_fwd.hpp>

namespace bench {

// Runs `work` in a forked child and returns what it returned. The calling process must have one thread only. Throws
// std::runtime_error when the child does not come to a good end.
nlohmann::json in_child(const std::function<nlohmann::json()>& work);

}  // namespace bench

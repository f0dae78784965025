// Who is measured against whom: the memory resources that stand side by side in every bench.
#pragma once

#include <memory>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

// The one that all ratios refer to.
inline constexpr std::string_view reference = "tidepool::pool_resource";

// One contestant, alive.
class peer {
public:
    virtual ~peer() = default;
    virtual std::pmr::memory_resource* resource() = 0;
    // Tidepool's tick; nothing for those that have none.
    virtual void tick() {}
    virtual std::string stats() const { return {}; }
};

struct peer_kind {
    std::string_view who;
    bool any_thread;  // false: one thread only
    std::unique_ptr<peer> (*make)();
};

// Tidepool first.
const std::vector<peer_kind>& peers();

}  // namespace bench

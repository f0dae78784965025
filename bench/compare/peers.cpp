#include "compare/peers.hpp"

#include <tidepool/pool_resource.hpp>
#include <tidepool/stats.hpp>

namespace bench {

namespace {

class tidepool_peer final : public peer {
public:
    std::pmr::memory_resource* resource() override { return &pool_; }
    void tick() override { pool_.tick(); }
    std::string stats() const override { return to_string(pool_.stats()); }

private:
    tidepool::pool_resource pool_;
};

template <class Resource>
class standard_pool_peer final : public peer {
public:
    std::pmr::memory_resource* resource() override { return &pool_; }

private:
    Resource pool_{std::pmr::new_delete_resource()};
};

class new_delete_peer final : public peer {
public:
    std::pmr::memory_resource* resource() override { return std::pmr::new_delete_resource(); }
};

template <class Peer>
std::unique_ptr<peer> make() {
    return std::make_unique<Peer>();
}

}  // namespace

const std::vector<peer_kind>& peers() {
    static const std::vector<peer_kind> all{
        {reference, true, make<tidepool_peer>},
        {"synchronized_pool_resource", true, make<standard_pool_peer<std::pmr::synchronized_pool_resource>>},
        {"unsynchronized_pool_resource", false, make<standard_pool_peer<std::pmr::unsynchronized_pool_resource>>},
        {"new_delete_resource", true, make<new_delete_peer>},
    };
    return all;
}

}  // namespace bench

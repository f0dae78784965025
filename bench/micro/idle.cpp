// What a pool costs that nobody uses. Each sample is a process of its own that makes a thousand pools.
#include <memory>
#include <memory_resource>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <tidepool/pool_resource.hpp>

#include "compare/peers.hpp"
#include "micro/micro.hpp"
#include "support/child.hpp"
#include "support/resident.hpp"

namespace bench {

namespace {

constexpr std::size_t pools = 1000;

class counting_resource final : public std::pmr::memory_resource {
public:
    unsigned long calls = 0;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        ++calls;
        return std::pmr::new_delete_resource()->allocate(bytes, alignment);
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
        std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
    }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

template <class Pool>
nlohmann::json made_and_left() {
    counting_resource below;
    // Touched before the count, so that it is the pools that grow and not the list of them.
    std::vector<std::unique_ptr<Pool>> all(pools);
    const long before = resident_kib();
    for (auto& each : all) each = std::make_unique<Pool>(&below);
    const long after = resident_kib();
    return {{"kib", static_cast<double>(after - before) / pools}, {"calls", below.calls}};
}

nlohmann::json sample(const std::string& who) {
    if (who == reference) return made_and_left<tidepool::pool_resource>();
    if (who == "synchronized_pool_resource") return made_and_left<std::pmr::synchronized_pool_resource>();
    if (who == "unsynchronized_pool_resource") return made_and_left<std::pmr::unsynchronized_pool_resource>();
    throw std::invalid_argument(who);
}

}  // namespace

const std::vector<std::string>& idle_candidates() {
    static const std::vector<std::string> all{std::string(reference), "synchronized_pool_resource",
                                              "unsynchronized_pool_resource"};
    return all;
}

idle_result measure_idle(const std::string& who, unsigned rounds) {
    idle_result result{who, {}, 0};
    for (unsigned round = 0; round < rounds; ++round) {
        const nlohmann::json one = in_child([&] { return sample(who); });
        result.samples_kib.push_back(one.at("kib"));
        result.upstream_calls += one.at("calls").get<unsigned long>();
    }
    return result;
}

}  // namespace bench

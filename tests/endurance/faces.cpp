// The soak over the library's faces: see soak.hpp.
#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <memory_resource>
#include <new>
#include <string>
#include <utility>

#include "soak.hpp"

#include <tidepool/decorators.hpp>
#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

constexpr std::size_t packet_bytes = 1504;

struct thing {
    std::array<std::uint64_t, 17> words;
};

tidepool::pool_options options(tidepool::block_source source) {
    tidepool::pool_options o;
    o.source = source;
    o.decay_interval = 200ms;
    return o;
}

// Null where memory is out.
template <class Request>
void* or_null(const Request& request) noexcept {
    try {
        return request();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

class faces final : public soak::target {
public:
    void* take(unsigned kind, std::size_t bytes) noexcept override {
        switch (kind) {
            case 0:
                return or_null([&] { return spans_.allocate(bytes, 8); });
            case 1:
                return or_null([&] { return direct_.allocate(bytes, 8); });
            case 2:
                return packets_.try_allocate();
            case 3:
                return or_null([&] { return tidepool::allocator<std::uint64_t>().allocate(bytes / 8); });
            default:
                return or_null([&] { return things_.get(); });
        }
    }
    void give(unsigned kind, void* p, std::size_t bytes) noexcept override {
        switch (kind) {
            case 0:
                return spans_.deallocate(p, bytes, 8);
            case 1:
                return direct_.deallocate(p, bytes, 8);
            case 2:
                return packets_.deallocate(p);
            case 3:
                return tidepool::allocator<std::uint64_t>().deallocate(static_cast<std::uint64_t*>(p), bytes / 8);
            default:
                return things_.put(static_cast<thing*>(p));
        }
    }
    std::size_t size_of(unsigned kind, std::size_t wanted) noexcept override {
        return kind == 2 ? packet_bytes : kind == 4 ? sizeof(thing) : wanted;
    }

    // Containers, and a pool that comes and goes.
    void live_a_little() noexcept override {
        try {
            tidepool::pool_resource mine(options(tidepool::block_source::spans), failing_);
            std::pmr::map<int, std::pmr::string> lines(&mine);
            std::list<int, tidepool::pool_allocator<int>> numbers{spans_};
            for (int i = 0; i < 50; ++i) {
                lines.emplace(i, std::pmr::string(static_cast<std::size_t>(i) * 7, 'x', &mine));
                numbers.push_back(i);
            }
            if (lines.at(49).size() != 49 * 7 || numbers.back() != 49) soak::give_up("a container is wrong");
        } catch (const std::bad_alloc&) {
        }
    }

    void tick() noexcept override { tidepool::tick(); }
    void trim() noexcept override { trim_all(0); }
    void fail(bool always) noexcept override {
        for (auto* each : {&failing_, &failing_direct_}) always ? each->fail_from(1) : each->never_fail();
    }
    std::uint64_t held() noexcept override {
        return books_.counted().bytes_live + direct_books_.counted().bytes_live +
               tidepool::default_pool().stats().upstream_bytes;
    }
    void settle() noexcept override {
        for (const auto& each : {spans_.stats(), direct_.stats(), packets_.stats()})
            if (each.blocks_in_use + each.large_blocks != 0) soak::give_up("blocks are missing", each.blocks_in_use);
        for (int i = 0; i < 3; ++i) trim_all(0);
        for (const auto* each : {&books_, &direct_books_})
            if (const auto live = each->counted().bytes_live) soak::give_up("memory is missing", live);
    }

private:
    void trim_all(std::size_t keep) noexcept {
        spans_.trim(keep);
        direct_.trim(keep);
        packets_.trim(keep);
        things_.trim(keep);
        tidepool::default_pool().trim(keep);
    }

    tidepool::counting_upstream books_{tidepool::pages_upstream()}, direct_books_{tidepool::libc_upstream()};
    tidepool::failing_upstream failing_{books_}, failing_direct_{direct_books_};
    tidepool::pool_resource spans_{options(tidepool::block_source::spans), failing_};
    tidepool::pool_resource direct_{options(tidepool::block_source::direct), failing_direct_};
    tidepool::block_pool packets_{packet_bytes, 32, options(tidepool::block_source::spans), failing_};
    tidepool::object_pool<thing> things_;
};

}  // namespace

int main(int count, char** arguments) {
    static faces all;
    return soak::soak(all, count, arguments);
}

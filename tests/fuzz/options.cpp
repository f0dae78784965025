// Options of any value: each face either throws std::invalid_argument, whose message has a wrong option, its value and
// what is allowed, or is a pool that works and whose options() are within their ranges.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tidepool/block_pool.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>

#include "books.hpp"
#include "bytes.hpp"
#include "live_blocks.hpp"
#include "require.hpp"

namespace {

using fuzz::books;
using fuzz::bytes;
using fuzz::live_blocks;
using fuzz::require;
using std::chrono::milliseconds;

constexpr std::size_t kib = 1024, mib = 1024 * kib;
constexpr std::int64_t day = 24 * 60 * 60 * 1000;

// A limit, a value beside one, or any.
std::uint64_t number(bytes& in) {
    constexpr std::array<std::uint64_t, 16> limits{0,         1,         16,        255,        256,      257,
                                                   4096,      32 * kib,  128 * kib, 1 * mib,    16 * mib, 86'400'000,
                                                   1UL << 32, 1UL << 63, 0,         0x7FFF'FFFF};
    const std::uint8_t kind = in.next();
    switch (kind >> 5) {
        case 0:
            return in.eight();
        case 1:
            return in.next();
        case 2:
            return in.two();
        case 3:
            return std::uint64_t{1} << (kind % 32 * 2);
        default:
            return limits[kind % 16] + (kind & 0x10 ? in.next() : std::uint64_t{0}) - (kind & 0x20 ? 1 : 0);
    }
}

// What is wrong, as the message must say it.
struct wrong {
    std::string option, value;
};
using wrongs = std::vector<wrong>;

template <class Make>
void require_refused(const wrongs& all, Make make) {
    try {
        make();
    } catch (const std::invalid_argument& refusal) {
        const std::string said = refusal.what();
        bool found = false;
        for (const wrong& each : all)
            found = found || said.starts_with("tidepool: " + each.option + " = " + each.value + ": allowed is ");
        require(found, "a message has the option, its value and the allowed ones: %s", said.c_str());
        return;
    }
    require(false, "%s = %s is refused", all[0].option.c_str(), all[0].value.c_str());
}

tidepool::pool_options options_from(bytes& in) {
    tidepool::pool_options options;
    options.max_blocks_per_chunk = number(in);
    options.largest_required_pool_block = number(in);
    options.magazine_bytes_max = number(in);
    options.local_bytes_max = number(in);
    options.depot_bytes_max = number(in);
    options.decay_interval = milliseconds(static_cast<std::int64_t>(number(in)));
    const std::uint8_t source = in.next();
    options.source = static_cast<tidepool::block_source>(source < 192 ? source % 2 : static_cast<int>(in.eight()));
    return options;
}

void add_interval(wrongs& all, milliseconds interval) {
    if (interval.count() < 0 || interval.count() > day)
        all.push_back({"decay_interval", std::to_string(interval.count()) + " ms"});
}

wrongs wrong_in(const tidepool::pool_options& options) {
    wrongs all;
    if (options.magazine_bytes_max < 1 || options.magazine_bytes_max > 16 * mib)
        all.push_back({"magazine_bytes_max", std::to_string(options.magazine_bytes_max)});
    add_interval(all, options.decay_interval);
    const int source = static_cast<int>(options.source);
    if (source != 0 && source != 1) all.push_back({"source", std::to_string(source)});
    return all;
}

void require_within(const tidepool::pool_options& now, const tidepool::pool_options& given) {
    require(now.max_blocks_per_chunk >= 1 && now.max_blocks_per_chunk <= 256, "max_blocks_per_chunk is clamped");
    require(given.max_blocks_per_chunk == 0 || given.max_blocks_per_chunk > 256 ||
                now.max_blocks_per_chunk == given.max_blocks_per_chunk,
            "max_blocks_per_chunk in its range is in effect");
    require(now.magazine_bytes_max == given.magazine_bytes_max && now.local_bytes_max == given.local_bytes_max &&
                now.depot_bytes_max == given.depot_bytes_max && now.decay_interval == given.decay_interval &&
                now.source == given.source,
            "options are in effect as they are given");
}

// Takes and gives until magazines are full, some twice over.
template <class Take, class Give>
void use(Take take, Give give, std::size_t bytes, std::size_t alignment, live_blocks& live) {
    constexpr std::size_t most = 600;
    const std::size_t count = std::min(most, 1 + mib / (bytes + 1));
    std::vector<void*> blocks(count);
    for (int round = 0; round < 2; ++round) {
        for (void*& each : blocks) live.enter(each = take(), bytes, alignment, 0x5C);
        for (void* each : blocks) {
            live.leave(each, bytes, 0x5C);
            give(each);
        }
    }
}

template <class Pool>
void require_empty(Pool& pool) {
    pool.tick();
    pool.trim();
    const tidepool::stats now = pool.stats();
    require(now.blocks_in_use == 0 && now.large_blocks == 0, "a pool has everything back");
    require(now.membarrier_refused || (now.blocks_cached == 0 && now.upstream_bytes == 0), "a trim empties a pool");
}

void try_resource(bytes& in, const tidepool::pool_options& options) {
    live_blocks live;
    books from(live);
    if (const wrongs all = wrong_in(options); !all.empty())
        return require_refused(all, [&] { tidepool::pool_resource(options, from); });
    tidepool::pool_resource pool(options, from);
    const tidepool::pool_options now = pool.options();
    require_within(now, options);
    const std::size_t largest = now.largest_required_pool_block, asked = options.largest_required_pool_block;
    require(largest >= 16 && largest <= 32 * kib && (largest >= asked || asked > largest) && largest % 16 == 0,
            "largest_required_pool_block is clamped");
    require(asked == 0 || asked > 32 * kib || (largest >= asked && largest <= std::max<std::size_t>(16, asked * 2)),
            "largest_required_pool_block is rounded up to a class");
    for (std::size_t i = 0; i < 3; ++i) {
        const std::size_t bytes = in.size(), alignment = in.alignment();
        use([&] { return pool.allocate(bytes, alignment); }, [&](void* p) { pool.deallocate(p, bytes, alignment); },
            bytes, alignment, live);
    }
    require_empty(pool);
}

void try_standard_options(bytes& in) {
    live_blocks live;
    books from(live);
    tidepool::pool_resource pool(std::pmr::pool_options{number(in), number(in)}, from);
    const std::size_t bytes = in.size();
    use([&] { return pool.allocate(bytes); }, [&](void* p) { pool.deallocate(p, bytes); }, bytes, 16, live);
    require_empty(pool);
}

void try_block_pool(bytes& in, const tidepool::pool_options& options) {
    live_blocks live;
    books from(live);
    const std::size_t bytes = number(in), alignment = in.next() & 1 ? in.alignment() : number(in);
    wrongs all = wrong_in(options);
    if (bytes < 1 || bytes > mib) all.push_back({"block_bytes", std::to_string(bytes)});
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > 4096)
        all.push_back({"alignment", std::to_string(alignment)});
    if (!all.empty()) return require_refused(all, [&] { tidepool::block_pool(bytes, alignment, options, from); });
    tidepool::block_pool pool(bytes, alignment, options, from);
    require_within(pool.options(), options);
    const std::size_t has = pool.block_bytes();
    require(has >= bytes && has % 16 == 0 && has % alignment == 0 && has - bytes < std::max<std::size_t>(16, alignment),
            "block_bytes is rounded up");
    use([&] { return pool.allocate(); }, [&](void* p) { pool.deallocate(p); }, has, alignment, live);
    require_empty(pool);
}

struct object {
    std::array<std::byte, 48> payload{};
};

void try_object_pool(bytes& in) {
    live_blocks live;
    tidepool::object_pool_options options{.magazine_capacity = number(in),
                                          .local_objects_max = number(in),
                                          .decay_interval = milliseconds(static_cast<std::int64_t>(number(in)))};
    using pool_type = tidepool::object_pool<object>;
    wrongs all;
    if (options.magazine_capacity > 256)
        all.push_back({"magazine_capacity", std::to_string(options.magazine_capacity)});
    add_interval(all, options.decay_interval);
    if (!all.empty()) return require_refused(all, [&] { pool_type({}, {}, options); });
    pool_type pool({}, {}, options);
    const tidepool::object_pool_options now = pool.options();
    require(now.magazine_capacity >= 1 && now.magazine_capacity <= 256, "magazine_capacity has its default");
    require(now.local_objects_max == options.local_objects_max && now.decay_interval == options.decay_interval,
            "options are in effect as they are given");
    use([&] { return pool.get(); }, [&](void* p) { pool.put(static_cast<object*>(p)); }, sizeof(object),
        alignof(object), live);
    require_empty(pool);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bytes in(data, size);
    const std::size_t kind = in.below(4);
    if (kind == 2) return try_standard_options(in), 0;
    if (kind == 3) return try_object_pool(in), 0;
    const tidepool::pool_options options = options_from(in);
    kind == 0 ? try_resource(in, options) : try_block_pool(in, options);
    return 0;
}

// Every face over upstreams that keep books, used by several threads, with ticks, trims, releases, upstreams that fail
// and threads that exit. After each audit and at the end the pools' books, the upstreams' and the program's agree.
//
// An input is a setup and then steps, each of a byte for what and by whom, and what the step needs.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <optional>
#include <stdexcept>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/block_pool.hpp>
#include <tidepool/decorators.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/tick.hpp>

#include "books.hpp"
#include "bytes.hpp"
#include "crew.hpp"
#include "live_blocks.hpp"
#include "require.hpp"

namespace {

using fuzz::books;
using fuzz::bytes;
using fuzz::require;
using std::chrono::milliseconds;

// What two of the faces allocate.
struct node {
    std::array<std::byte, 24> of;
};
struct alignas(64) line {
    std::array<std::byte, 192> of;
};

// An object that knows whether it lives, and says how its reset goes.
class object {
public:
    enum class reset { well, refused, thrown };

    object() noexcept { exist.fetch_add(1, std::memory_order_relaxed); }  // relaxed: looked at when all threads rest
    object(const object&) = delete;
    object& operator=(const object&) = delete;
    ~object() {
        require(alive_ == yes, "an object dies once");
        alive_ = 0;
        exist.fetch_sub(1, std::memory_order_relaxed);
    }
    bool lives() const noexcept { return alive_ == yes; }

    reset next = reset::well;
    std::array<std::byte, 40> payload{};
    static inline std::atomic<std::size_t> exist{0};

private:
    static constexpr std::uint32_t yes = 0x600DF00D;
    std::uint32_t alive_ = yes;
};
struct failure {};

enum class face : std::uint8_t { resource, blocks, objects, pool_allocator, default_allocator };
constexpr std::size_t faces = 5;

// Blocks of one kind that were taken together and are freed together.
struct bundle {
    face from = face::resource;
    std::size_t bytes = 0, alignment = 1, count = 0;
    std::uint8_t stamp = 0;
    std::array<void*, 32> blocks;
};
constexpr std::size_t slots = 48;

enum class step_kind : std::uint8_t { take, give };
struct step {
    step_kind what;
    std::size_t slot = 0;
    bundle wanted;  // of take
    bool reversed = false;
    object::reset reset = object::reset::well;
};

// The sizes of classes, stated again.
std::size_t class_bytes_for(std::size_t bytes, std::size_t alignment, std::size_t largest) {
    if (alignment > 4096) return 0;
    for (std::size_t base = 16, step = 16; base <= largest; base += step) {
        if (base >= bytes && (alignment <= 16 || base % alignment == 0)) return base;
        if (base >= 128 && (base & (base - 1)) == 0) step = base / 8;
    }
    return 0;
}

tidepool::pool_options options_from(bytes& in) {
    constexpr std::size_t kib = 1024;
    tidepool::pool_options options;
    options.max_blocks_per_chunk = in.one_of(std::array<std::size_t, 6>{0, 1, 2, 3, 8, 300});
    options.largest_required_pool_block = in.one_of(std::array<std::size_t, 4>{0, 512, 4000, 1});
    options.magazine_bytes_max = in.one_of(std::array<std::size_t, 4>{128 * kib, 1, kib, 8 * kib});
    options.local_bytes_max = in.one_of(std::array<std::size_t, 4>{4096 * kib, 0, 2 * kib, 64 * kib});
    options.depot_bytes_max = in.one_of(std::array<std::size_t, 3>{16384 * kib, 0, 8 * kib});
    const std::uint8_t rest = in.next();
    options.decay_interval = milliseconds(rest & 1);
    options.source = rest & 2 ? tidepool::block_source::direct : tidepool::block_source::spans;
    return options;
}

// An upstream and what is put before it.
class source_of_memory {
public:
    source_of_memory(fuzz::live_blocks& live, std::size_t kind) : accounts(live), kind_(kind) {}

    tidepool::upstream get() noexcept {
        switch (kind_) {
            case 1:
                return limited_;
            case 2:
                return tidepool::pages_upstream();
            default:
                return accounts;
        }
    }
    bool keeps_books() const noexcept { return kind_ != 2; }
    bool may_fail() noexcept { return kind_ == 1 || accounts.may_fail(); }

    books accounts;

private:
    tidepool::limited_upstream limited_{accounts, std::size_t{1} << 20};
    const std::size_t kind_;
};

class session {
public:
    explicit session(bytes& in)
        : in_(in),
          options_(options_from(in)),
          upstream_kind_(in.below(3)),
          block_bytes_(std::min(in.size() + 1, std::size_t{256} << 10)),
          block_alignment_(std::min<std::size_t>(in.alignment(), 4096)),
          of_resource_(live_, upstream_kind_),
          of_blocks_(live_, upstream_kind_),
          resource_(options_, of_resource_.get()),
          blocks_(block_bytes_, block_alignment_, options_, of_blocks_.get()),
          objects_(make_object{this}, reset_object{},
                   {.magazine_capacity = in.below(4),
                    .local_objects_max = in.one_of(std::array<std::size_t, 3>{64, 0, 3}),
                    .decay_interval = milliseconds(0)}) {}

    void run() {
        while (!in_.done()) one();
        end();
    }

private:
    struct make_object {
        session* here;
        object operator()() const {
            // Relaxed: set while no other thread works.
            if (here->factory_fails_.load(std::memory_order_relaxed)) throw failure{};
            return object();
        }
    };
    struct reset_object {
        bool operator()(object& o) const {
            require(o.lives(), "an object that is put back lives");
            if (o.next == object::reset::thrown) throw failure{};
            return o.next != object::reset::refused;
        }
    };

    void one() {
        const std::uint8_t head = in_.next();
        const std::size_t who = head >> 6;
        switch (head % 16) {
            case 0:
            case 1:
            case 2: {
                const step taken = take_from(in_.below(slots));
                crew_.run(who, [&] { perform(taken); });
                break;
            }
            case 3:
            case 4:
            case 5: {
                const step given = give_from(in_.below(slots));
                crew_.run(who, [&] { perform(given); });
                break;
            }
            case 6:
            case 7:
                all_at_once();
                break;
            case 8:
                crew_.run(who, [&] { tick(); });
                break;
            case 9:
                crew_.run(who, [&] { tidepool::tick(); });
                break;
            case 10:
                trim(who);
                break;
            case 11:
                audit();
                break;
            case 12:
                crew_.dismiss(who);
                break;
            case 13:
                fail();
                break;
            case 14:
                ebb();
                break;
            default:
                release();
                break;
        }
    }

    step take_from(std::size_t slot) {
        step next{.what = step_kind::take, .slot = slot};
        bundle& b = next.wanted;
        const std::uint8_t kind = in_.next();
        b.from = static_cast<face>(kind % faces);
        b.count = kind & 0x40 ? 1 + in_.below(b.blocks.size()) : 1;
        b.stamp = static_cast<std::uint8_t>(++stamps_ | 1);
        switch (b.from) {
            case face::resource:
                b.bytes = in_.size();
                b.alignment = kind & 0x80 ? in_.alignment() : 8;
                break;
            case face::blocks:
                b.bytes = blocks_.block_bytes();
                b.alignment = block_alignment_;
                break;
            case face::objects:
                b.bytes = sizeof(object);
                b.alignment = alignof(object);
                break;
            case face::pool_allocator:
            case face::default_allocator:
                b.alignment = kind & 0x80 ? alignof(line) : alignof(node);
                b.bytes = (kind & 0x80 ? sizeof(line) : sizeof(node)) * (1 + in_.below(200));
                break;
        }
        return next;
    }
    step give_from(std::size_t slot) {
        const std::uint8_t how = in_.next();
        return {.what = step_kind::give,
                .slot = slot,
                .wanted = {},
                .reversed = (how & 1) != 0,
                .reset = static_cast<object::reset>(how / 2 % 16 < 2 ? how / 2 % 16 + 1 : 0)};
    }

    // Threads work beside each other, each with slots of its own.
    void all_at_once() {
        std::array<std::vector<step>, fuzz::crew::threads> work;
        const std::size_t count = 1 + in_.below(16);
        for (std::size_t i = 0; i < count && !in_.done(); ++i)
            for (std::size_t who = 0; who < work.size(); ++who) {
                const std::uint8_t head = in_.next();
                const std::size_t slot = head / 2 % (slots / work.size()) * work.size() + who;
                work[who].push_back(head & 1 ? give_from(slot) : take_from(slot));
            }
        const bool ticked = in_.next() & 1;
        crew_.all_at_once([&](std::size_t who) {
            for (const step& each : work[who]) perform(each);
            if (ticked) tidepool::tick();
        });
    }

    // Called by any thread, of which only one has the slot.
    void perform(const step& s) {
        bundle& b = bundles_[s.slot];
        give(b, s.reversed, s.reset);
        if (s.what == step_kind::give) return;
        b = s.wanted;
        b.count = 0;
        while (b.count < s.wanted.count) {
            void* const p = allocate(b);
            if (!p) break;
            if (b.from == face::objects) {
                auto* const o = static_cast<object*>(p);
                require(o->lives(), "an object that is taken lives");
                o->next = object::reset::well;
                live_.enter(o->payload.data(), o->payload.size(), 1, b.stamp);
            } else {
                live_.enter(p, b.bytes, b.alignment, b.stamp);
            }
            b.blocks[b.count++] = p;
        }
    }

    void* allocate(const bundle& b) {
        try {
            switch (b.from) {
                case face::resource:
                    return resource_.allocate(b.bytes, b.alignment);
                case face::blocks:
                    return b.stamp & 2 ? blocks_.allocate() : must(blocks_.try_allocate(), of_blocks_);
                case face::objects:
                    return objects_.get();
                case face::pool_allocator:
                    return by(tidepool::pool_allocator<node>(resource_), b);
                default:
                    return by(tidepool::allocator<node>(), b);
            }
        } catch (const std::bad_alloc&) {
            source_of_memory& from = b.from == face::blocks ? of_blocks_ : of_resource_;
            require(b.from != face::default_allocator && b.from != face::objects, "the system has memory");
            return must(nullptr, from);
        } catch (const failure&) {
            require(factory_fails_, "a factory fails where it is told to");
            return nullptr;
        }
    }
    // An upstream's failures end while others work, so who has seen one may find it over.
    void* must(void* p, source_of_memory& from) noexcept {
        require(p || fails_ || from.may_fail(), "an upstream with memory serves a request");
        return p;
    }

    template <template <class> class Allocator>
    static void* by(Allocator<node> from, const bundle& b) {
        if (b.alignment == alignof(node)) return from.allocate(b.bytes / sizeof(node));
        return Allocator<line>(from).allocate(b.bytes / sizeof(line));
    }
    template <template <class> class Allocator>
    static void back(Allocator<node> to, void* p, const bundle& b) {
        if (b.alignment == alignof(node)) return to.deallocate(static_cast<node*>(p), b.bytes / sizeof(node));
        Allocator<line>(to).deallocate(static_cast<line*>(p), b.bytes / sizeof(line));
    }

    void give(bundle& b, bool reversed, object::reset reset) {
        for (std::size_t i = 0; i < b.count; ++i) {
            void* const p = b.blocks[reversed ? b.count - 1 - i : i];
            if (b.from == face::objects) {
                auto* const o = static_cast<object*>(p);
                live_.leave(o->payload.data(), o->payload.size(), b.stamp);
                put(o, reset);
                continue;
            }
            live_.leave(p, b.bytes, b.stamp);
            switch (b.from) {
                case face::resource:
                    resource_.deallocate(p, b.bytes, b.alignment);
                    break;
                case face::blocks:
                    blocks_.deallocate(p);
                    break;
                case face::pool_allocator:
                    back(tidepool::pool_allocator<node>(resource_), p, b);
                    break;
                default:
                    back(tidepool::allocator<node>(), p, b);
                    break;
            }
        }
        b.count = 0;
    }

    void put(object* o, object::reset reset) {
        o->next = reset;
        try {
            objects_.put(o);
            require(reset != object::reset::thrown, "the exception of a reset reaches the program");
        } catch (const failure&) {
            require(reset == object::reset::thrown, "a reset throws where it is told to");
        }
    }

    void tick() noexcept {
        resource_.tick();
        blocks_.tick();
        objects_.tick();
    }

    void trim(std::size_t who) {
        const std::size_t keep = in_.one_of(std::array<std::size_t, 4>{0, 1, 5000, static_cast<std::size_t>(-1)});
        crew_.run(who, [&] {
            resource_.trim(keep);
            blocks_.trim(keep);
            objects_.trim(keep);
        });
        if (keep == 0 && !of_resource_.may_fail()) require_idle_is_gone("a trim");
        audit();
    }

    // Two ticks without use.
    void ebb() {
        for (int i = 0; i < 2; ++i) tick();
        require_idle_is_gone("two ticks");
        audit();
    }
    void require_idle_is_gone(const char* by_what) {
        if (resource_.stats().membarrier_refused) return;
        const std::uint64_t left =
            resource_.stats().blocks_cached + blocks_.stats().blocks_cached + objects_.stats().blocks_cached;
        require(left == 0, "%s leaves no idle block; it leaves %zu", by_what, static_cast<std::size_t>(left));
    }

    void fail() {
        const std::uint64_t n = 1 + in_.below(4), count = in_.below(8);
        of_resource_.accounts.fail(n, count);
        of_blocks_.accounts.fail(n, count);
        fails_ = fails_ || count > 0;
        factory_fails_ = in_.next() & 1;
    }

    void release() {
        const bool direct = options_.source == tidepool::block_source::direct;
        for (bundle& b : bundles_) {
            const bool of_resource = b.from == face::resource || b.from == face::pool_allocator;
            if (!of_resource && b.from != face::blocks) continue;
            // Of direct blocks, the program keeps what it has. Not so of large ones; a block pool has none.
            if (direct && (b.from == face::blocks || class_of(b) != 0)) continue;
            for (std::size_t i = 0; i < b.count; ++i) live_.leave(b.blocks[i], b.bytes, b.stamp);
            b.count = 0;
        }
        resource_.release();
        blocks_.release();
        require_idle_is_gone_of_released();
        audit();
    }
    void require_idle_is_gone_of_released() {
        const tidepool::stats r = resource_.stats(), b = blocks_.stats();
        require(r.blocks_cached + b.blocks_cached + r.large_blocks == 0, "a release leaves nothing idle or large");
        if (options_.source == tidepool::block_source::spans)
            require(r.upstream_bytes + b.upstream_bytes == 0, "a release of spans leaves nothing");
    }

    std::size_t class_of(const bundle& b) const {
        return class_bytes_for(b.bytes, b.alignment, resource_.options().largest_required_pool_block);
    }

    static void require_consistent(const tidepool::stats& s) {
        require(s.refilled_blocks - s.blocks_returned == s.blocks_in_use + s.blocks_cached, "refilled and returned");
        require(s.spilled_blocks <= s.blocks_returned && s.spills <= s.spilled_blocks, "spilled and returned");
        require(s.refills <= s.refilled_blocks, "refills and blocks");
        require((s.blocks_cached == 0) == (s.bytes_cached == 0), "cached blocks and bytes");
        require((s.blocks_in_use == 0) == (s.bytes_in_use == 0), "used blocks and bytes");
        require(s.large_blocks > 0 || s.large_bytes == 0, "large blocks and bytes");  // an aligned one may have none
        require(s.upstream_bytes <= s.upstream_bytes_peak, "the upstream's peak");
        require(s.upstream_bytes >= s.large_bytes, "the upstream has given what is large");
    }

    // What the program has, against what the pools and their upstreams say. All other threads rest.
    void audit() {
        std::array<std::uint64_t, faces> count{}, pooled{};
        std::uint64_t large = 0, large_bytes = 0, pooled_bytes = 0;
        for (const bundle& b : bundles_) {
            const auto from = static_cast<std::size_t>(b.from);
            count[from] += b.count;
            if (b.from != face::resource && b.from != face::pool_allocator) continue;
            if (const std::size_t its = class_of(b); its != 0) {
                pooled[0] += b.count;
                pooled_bytes += b.count * its;
            } else {
                large += b.count;
                large_bytes += b.count * b.bytes;
            }
        }
        const tidepool::stats r = resource_.stats(), b = blocks_.stats(), o = objects_.stats();
        for (const tidepool::stats& each : {r, b, o}) require_consistent(each);
        require(live_.count() == count[0] + count[1] + count[2] + count[3] + count[4], "the model agrees with itself");
        const auto of_blocks = count[static_cast<std::size_t>(face::blocks)],
                   of_objects = count[static_cast<std::size_t>(face::objects)];
        require(r.large_blocks == large && r.large_bytes == large_bytes, "large blocks are counted");
        if (r.membarrier_refused) return;
        require(r.blocks_in_use == pooled[0] && r.bytes_in_use == pooled_bytes, "blocks of a resource are counted");
        require(b.blocks_in_use == of_blocks && b.bytes_in_use == of_blocks * blocks_.block_bytes(),
                "blocks of a block pool are counted");
        require(o.blocks_in_use == of_objects, "objects are counted");
        require(object::exist == o.blocks_in_use + o.blocks_cached, "all objects are used or idle");
        if (!of_resource_.keeps_books()) return;
        require(r.upstream_bytes == of_resource_.accounts.bytes(), "a resource knows what it has from its upstream");
        require(b.upstream_bytes == of_blocks_.accounts.bytes(), "a block pool knows what it has from its upstream");
    }

    void end() {
        audit();
        const bool tidy = upstream_kind_ != 2 && block_alignment_ % 2 == 0;
        for (bundle& b : bundles_) {
            // Some inputs leave to the pools what these take back at their end.
            const bool kept = !tidy && options_.source == tidepool::block_source::spans &&
                              (b.from == face::resource || b.from == face::blocks || b.from == face::pool_allocator);
            if (kept)
                left_.push_back(b);
            else
                give(b, false, object::reset::well);
        }
        if (!left_.empty()) {
            of_resource_.accounts.released(true);
            of_blocks_.accounts.released(true);
            return;
        }
        audit();
        resource_.trim();
        blocks_.trim();
        objects_.trim();
        require_idle_is_gone("a trim");
        audit();
        if (resource_.stats().membarrier_refused) return;
        require(resource_.stats().upstream_bytes + blocks_.stats().upstream_bytes == 0, "a trim of all leaves nothing");
        require(object::exist == 0, "no object is left");
    }

    bytes& in_;
    fuzz::live_blocks live_;
    const tidepool::pool_options options_;
    const std::size_t upstream_kind_, block_bytes_, block_alignment_;
    source_of_memory of_resource_, of_blocks_;
    std::atomic<bool> factory_fails_{false};
    bool fails_ = false;  // some time
    tidepool::pool_resource resource_;
    tidepool::block_pool blocks_;
    tidepool::object_pool<object, make_object, reset_object> objects_;
    fuzz::crew crew_;
    std::array<bundle, slots> bundles_{};
    std::vector<bundle> left_;
    std::uint8_t stamps_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bytes in(data, size);
    session(in).run();
    require(object::exist == 0, "a pool ends its objects");
    return 0;
}

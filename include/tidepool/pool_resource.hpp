// A std::pmr::memory_resource that can replace std::pmr::synchronized_pool_resource.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/options.hpp>
#include <tidepool/stats.hpp>
#include <tidepool/upstream.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

template <class T>
class pool_allocator;
class pool_resource;
pool_resource& default_pool();

namespace detail {

// Called by the stateless allocator when its inlined hit misses. default_allocate() throws std::bad_alloc.
void* default_allocate(std::uint32_t size_class, std::size_t bytes, std::size_t alignment);
void default_deallocate(void* p, std::uint32_t size_class, std::size_t bytes, std::size_t alignment) noexcept;

// An upstream as a memory resource, as thread-safe as that is. Equal to those over the same upstream.
class resource_over final : public std::pmr::memory_resource {
public:
    explicit resource_over(const upstream& from) noexcept : it(from) {}

    const upstream it;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override;
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override;
};

}  // namespace detail

// Memory of any size and alignment for any number of threads. Memory may be deallocated by another thread than the one
// that allocated it.
//
// Requests up to largest_required_pool_block bytes (32 KiB) with an alignment up to 4096 are served from blocks of a
// size class; others go to the upstream with the same size and alignment. Amortized constant time; a private hit takes
// no lock and executes no locked instruction. If the upstream has no memory allocate() throws std::bad_alloc, or what
// the upstream threw. deallocate() never throws, never allocates from the upstream, and does nothing if the pointer is
// null.
//
// All members are thread-safe except release() and the destructor, which need exclusive access. The upstream must
// outlive the pool.
class pool_resource : public std::pmr::memory_resource {
public:
    // Over mmap, so that decayed memory leaves the process.
    pool_resource();
    explicit pool_resource(tidepool::upstream from);
    // Throws std::invalid_argument if an option is out of range.
    explicit pool_resource(const pool_options& options);
    pool_resource(const pool_options& options, tidepool::upstream from);
    // With the options of the standard; all others have their default values. Templates, so that braces are
    // pool_options.
    template <std::same_as<std::pmr::pool_options> Standard>
    explicit pool_resource(const Standard& options) : pool_resource(from_standard(options)) {}
    template <std::same_as<std::pmr::pool_options> Standard>
    pool_resource(const Standard& options, tidepool::upstream from) : pool_resource(from_standard(options), from) {}

    pool_resource(const pool_resource&) = delete;
    pool_resource& operator=(const pool_resource&) = delete;

    // Does the same as release().
    ~pool_resource() override;

    // Returns all memory to the upstream, also memory that was not deallocated, and leaves the pool empty. With
    // block_source::direct: returns idle blocks and large allocations only.
    void release() noexcept;

    // Returns idle memory of all threads to the upstream until at most keep_bytes bytes are cached. Returns the number
    // of bytes returned.
    std::size_t trim(std::size_t keep_bytes = 0) noexcept;

    // Ages this pool by one tick. Returns the stock that was not used for two ticks to the upstream.
    void tick() noexcept;

    tidepool::stats stats() const noexcept;

    // The option values in effect.
    pool_options options() const noexcept { return options_; }

    const tidepool::upstream& upstream() const noexcept { return from_.it; }
    // The memory resource that the pool draws from; where the upstream is none, one that does the same, and lives as
    // long as the pool.
    std::pmr::memory_resource* upstream_resource() const noexcept {
        return upstream().resource() ? upstream().resource() : &from_;
    }

protected:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override;
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

private:
    template <class T>
    friend class pool_allocator;
    friend pool_resource& default_pool();
    friend void* detail::default_allocate(std::uint32_t, std::size_t, std::size_t);
    friend void detail::default_deallocate(void*, std::uint32_t, std::size_t, std::size_t) noexcept;

    static pool_options from_standard(const std::pmr::pool_options& given) noexcept {
        pool_options options;
        options.max_blocks_per_chunk = given.max_blocks_per_chunk;
        options.largest_required_pool_block = given.largest_required_pool_block;
        return options;
    }

    using maker = detail::pool_ptr (*)(pool_options&, const tidepool::upstream&);
    pool_resource(const pool_options& options, tidepool::upstream from, maker make);

    // For callers that know the size class, which may be no_size_class. allocate_class() throws std::bad_alloc.
    [[nodiscard]] void* allocate_class(std::uint32_t size_class, std::size_t bytes, std::size_t alignment) {
        const auto missed = [&] { return allocate_missed(size_class, bytes, alignment); };
        return size_class == detail::no_size_class ? missed()
                                                   : detail::take_or(index_, detail::bin_offset_of(size_class), missed);
    }
    void deallocate_class(void* p, std::uint32_t size_class, std::size_t bytes, std::size_t alignment) noexcept {
        const auto missed = [&] { deallocate_missed(p, size_class, bytes, alignment); };
        size_class == detail::no_size_class ? missed()
                                            : detail::give_or(index_, detail::bin_offset_of(size_class), p, missed);
    }

    // Called when a request is no private hit. allocate_missed() throws std::bad_alloc. The class is of the type that
    // the hit indexes by: to narrow it would cost each hit an instruction.
    [[gnu::noinline]] void* allocate_missed(std::size_t size_class, std::size_t bytes, std::size_t alignment);
    [[gnu::noinline]] void deallocate_missed(void* p, std::size_t size_class, std::size_t bytes,
                                             std::size_t alignment) noexcept;
    // For requests beyond the table of size classes. allocate_uncommon() throws std::bad_alloc.
    [[gnu::noinline]] void* allocate_uncommon(std::size_t bytes, std::size_t alignment);
    [[gnu::noinline]] void deallocate_uncommon(void* p, std::size_t bytes, std::size_t alignment) noexcept;

    pool_options options_;
    mutable detail::resource_over from_;
    detail::pool_ptr engine_;

    // Fixed at construction, read by every call.
    std::uint32_t index_;
    std::uint32_t class_count_;
};

// The pool of the stateless tidepool::allocator: over mmap, with default options. It is constructed at the first use
// and never destroyed. Thread-safe. Throws std::bad_alloc if memory is out.
pool_resource& default_pool();

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// A std::pmr::memory_resource over a Tidepool: drop-in for std::pmr::synchronized_pool_resource.
#pragma once

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

// The stateless allocator's way past its inlined hit. The first throws std::bad_alloc.
void* default_allocate(std::uint32_t size_class, std::size_t bytes, std::size_t alignment);
void default_deallocate(void* p, std::uint32_t size_class, std::size_t bytes, std::size_t alignment) noexcept;

}  // namespace detail

// Memory of any size and alignment, from any number of threads; a block may be freed by another thread than took it.
//
// Requests up to largest_required_pool_block bytes (32 KiB) with an alignment up to 4096 are served from blocks of a
// size class, others by the upstream with the same size and alignment. O(1) amortized; a private hit takes no lock and
// no locked instruction. allocate() throws std::bad_alloc when the upstream has no memory; deallocate() never throws
// and never asks the upstream for memory, and ignores a null pointer.
//
// All members may be called by any thread at any time, but for release(), the destructor and move of the upstream's
// lifetime: those need the pool to themselves.
class pool_resource : public std::pmr::memory_resource {
public:
    // Over mmap: what decays leaves the process.
    pool_resource();
    explicit pool_resource(tidepool::upstream from);
    // Throws std::invalid_argument for options that cannot be met.
    explicit pool_resource(const pool_options& options);
    pool_resource(const pool_options& options, tidepool::upstream from);
    // With the standard's own options; ours keep their defaults.
    explicit pool_resource(const std::pmr::pool_options& options);
    pool_resource(const std::pmr::pool_options& options, tidepool::upstream from);

    pool_resource(const pool_resource&) = delete;
    pool_resource& operator=(const pool_resource&) = delete;

    // Gives every block and every large block back to the upstream, also those that were never deallocated. With
    // block_source::direct: every idle block and every large one. As release().
    ~pool_resource() override;

    // As the standard's: what the destructor does, and the pool goes on empty.
    void release() noexcept;

    // Gives idle memory of all threads back to the upstream until at most keep_bytes bytes are cached. Returns the
    // bytes given back.
    std::size_t trim(std::size_t keep_bytes = 0) noexcept;

    // Ages this pool by one tick. What nobody took for two ticks is with the upstream when it returns.
    void tick() noexcept;

    tidepool::stats stats() const noexcept;

    // The values in effect.
    pool_options options() const noexcept { return options_; }

    const tidepool::upstream& upstream() const noexcept { return upstream_; }
    // The resource below; null when the upstream is not a memory resource.
    std::pmr::memory_resource* upstream_resource() const noexcept { return upstream_.resource(); }

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

    using maker = detail::pool_ptr (*)(pool_options&, const tidepool::upstream&);
    pool_resource(const pool_options& options, tidepool::upstream from, maker make);

    // With the size class known; it may be no_size_class. The first throws std::bad_alloc.
    [[nodiscard]] void* allocate_class(std::uint32_t size_class, std::size_t bytes, std::size_t alignment) {
        const auto missed = [&] { return allocate_missed(size_class, bytes, alignment); };
        return size_class == detail::no_size_class ? missed() : detail::take_or(index_, size_class, missed);
    }
    void deallocate_class(void* p, std::uint32_t size_class, std::size_t bytes, std::size_t alignment) noexcept {
        const auto missed = [&] { deallocate_missed(p, size_class, bytes, alignment); };
        size_class == detail::no_size_class ? missed() : detail::give_or(index_, size_class, p, missed);
    }

    // What was no private hit. The first throws std::bad_alloc.
    [[gnu::noinline]] void* allocate_missed(std::uint32_t size_class, std::size_t bytes, std::size_t alignment);
    [[gnu::noinline]] void deallocate_missed(void* p, std::uint32_t size_class, std::size_t bytes,
                                             std::size_t alignment) noexcept;
    // Requests that are too large or aligned too much for the table of size classes. The first throws std::bad_alloc.
    [[gnu::noinline]] void* allocate_uncommon(std::size_t bytes, std::size_t alignment);
    [[gnu::noinline]] void deallocate_uncommon(void* p, std::size_t bytes, std::size_t alignment) noexcept;

    pool_options options_;
    tidepool::upstream upstream_;
    detail::pool_ptr engine_;

    // Fixed at construction, read by every call.
    std::uint32_t index_;
    std::uint32_t class_count_;
};

// The pool of the stateless tidepool::allocator: over mmap, with default options. Made on first use, never destroyed.
// Throws std::bad_alloc when it cannot be made.
pool_resource& default_pool();

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Go's sync.Pool for C++: live objects that are kept for the next user and destroyed when nobody came for two ticks.
//
//   tidepool::object_pool pool([] { return buffer(4096); }, [](buffer& b) { b.clear(); });
//   auto b = pool.borrow();   // goes back by itself
//
// Source of the design: Go's sync package, pool.go and poolqueue.go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/options.hpp>
#include <tidepool/stats.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// The default factory: T().
template <class T>
struct value_factory {
    T operator()() const { return T(); }
};

// The default reset: objects are kept as they were put.
struct no_reset {
    template <class T>
    void operator()(T&) const noexcept {}
};

// Factory: callable without arguments by several threads at once, returns a T (which need not be movable).
// Reset: called with a T& when an object is put, by the thread that puts it; where it returns false the object is
// destroyed instead of kept.
//
// What decays is destroyed by the thread that performs the tick: one in the slow path of any pool of the process, in
// tick() or in a ticker; never in an upstream's heartbeat, which may come while the program holds any lock.
//
// All members may be called by any thread at any time, but for the destructor. get(), put() and borrow() are O(1)
// amortized; a private hit is inlined and takes no lock and no locked instruction.
template <class T, class Factory = value_factory<T>, class Reset = no_reset>
class object_pool {
    static_assert(std::is_nothrow_destructible_v<T>, "objects die inside the pool, where nobody could catch");

public:
    using value_type = T;

    // Puts an object back at the end of its life as a handle.
    class returner {
    public:
        returner() noexcept = default;
        explicit returner(object_pool& home) noexcept : home_(&home) {}
        void operator()(T* object) const noexcept { home_->put_quietly(object); }

    private:
        object_pool* home_ = nullptr;
    };
    // Movable, owning; must not outlive the pool.
    using handle = std::unique_ptr<T, returner>;

    // Throws std::invalid_argument for options that cannot be met.
    explicit object_pool(Factory factory = {}, Reset reset = {}, const object_pool_options& options = {})
        : factory_(std::move(factory)),
          reset_(std::move(reset)),
          options_(options),
          engine_(detail::make_object_pool(sizeof(T), options_, {this, &dispose})),
          index_(detail::pool_index(*engine_)) {}

    object_pool(const object_pool&) = delete;
    object_pool& operator=(const object_pool&) = delete;
    // Destroys the idle objects. Those still out are the program's to destroy with discard(), before this.
    ~object_pool() = default;

    // An idle object, or null when there is none to be had. Never calls the factory.
    [[nodiscard]] T* try_get() noexcept { return static_cast<T*>(detail::allocate(*engine_, index_, 0)); }

    // An idle object, or a new one. Throws what the factory throws, or std::bad_alloc; the pool is then as it was.
    [[nodiscard]] T* get() {
        if (T* object = try_get()) [[likely]]
            return object;
        return make();
    }

    // get() with a handle that puts the object back.
    [[nodiscard]] handle borrow() { return handle(get(), returner(*this)); }

    // Resets the object and keeps it. Ignores null. `object` came from this pool and is not used afterwards. When the
    // reset throws, the object is destroyed and the exception goes on.
    void put(T* object) {
        if (!object) [[unlikely]]
            return;
        if constexpr (!std::is_same_v<Reset, no_reset>) {
            doomed guard{this, object};
            const bool keep = reset(*object);
            if (!keep) return;
            guard.object = nullptr;
        }
        detail::deallocate(*engine_, index_, object, 0);
    }

    // Destroys an object that came from this pool instead of putting it back. Ignores null.
    void discard(T* object) noexcept {
        if (!object) return;
        detail::note_destroyed(*engine_, object);
        destroy(object);
    }

    // Destroys idle objects of all threads until at most keep_objects are left. Returns how many were destroyed.
    std::size_t trim(std::size_t keep_objects = 0) noexcept {
        constexpr std::size_t most = static_cast<std::size_t>(-1);
        const std::size_t keep_bytes = keep_objects > most / sizeof(T) ? most : keep_objects * sizeof(T);
        return detail::trim(*engine_, keep_bytes) / sizeof(T);
    }

    // Ages the pool by one tick; objects that nobody took for two ticks are destroyed when it returns.
    void tick() noexcept { detail::tick(*engine_); }

    tidepool::stats stats() const noexcept { return detail::snapshot(*engine_); }
    object_pool_options options() const noexcept { return options_; }

private:
    // Ends the object unless told otherwise: the way out of put() when the reset refuses or throws.
    struct doomed {
        object_pool* home;
        T* object;
        ~doomed() { home->discard(object); }
    };

    bool reset(T& object) {
        if constexpr (std::is_convertible_v<std::invoke_result_t<Reset&, T&>, bool>)
            return reset_(object);
        else
            return reset_(object), true;
    }

    // A handle's way back: an object whose reset throws is destroyed and the exception ends here, since a destructor
    // has nobody to throw to.
    void put_quietly(T* object) noexcept {
        try {
            put(object);
        } catch (...) {
        }
    }

    [[gnu::noinline]] T* make() {
        void* place = ::operator new (sizeof(T), std::align_val_t{alignof(T)});
        try {
            T* object = ::new (place) T(factory_());
            detail::note_created(*engine_, object);
            return object;
        } catch (...) {
            ::operator delete (place, std::align_val_t{alignof(T)});
            throw;
        }
    }

    static void destroy(T* object) noexcept {
        object->~T();
        ::operator delete (static_cast<void*>(object), std::align_val_t{alignof(T)});
    }

    static void dispose(void*, void** objects, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) destroy(static_cast<T*>(objects[i]));
    }

    Factory factory_;
    Reset reset_;
    object_pool_options options_;
    detail::pool_ptr engine_;
    std::uint32_t index_;
};

template <class Factory>
object_pool(Factory) -> object_pool<std::invoke_result_t<Factory&>, Factory>;
template <class Factory, class Reset>
object_pool(Factory, Reset) -> object_pool<std::invoke_result_t<Factory&>, Factory, Reset>;
template <class Factory, class Reset>
object_pool(Factory, Reset, object_pool_options) -> object_pool<std::invoke_result_t<Factory&>, Factory, Reset>;

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

// Go's sync.Pool for C++: keeps live objects for reuse and destroys those that were not used for two ticks.
//
//   tidepool::object_pool pool([] { return buffer(4096); }, [](buffer& b) { b.clear(); });
//   auto b = pool.borrow();   // returned at the end of the scope
//
// The design follows pool.go and poolqueue.go of Go's sync package.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <tidepool/detail/config.hpp>
#include <tidepool/detail/engine.hpp>
#include <tidepool/detail/fast_path.hpp>
#include <tidepool/detail/raise.hpp>
#include <tidepool/options.hpp>
#include <tidepool/stats.hpp>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

// The default factory: returns T().
template <class T>
struct value_factory {
    T operator()() const { return T(); }
};

// The default reset: leaves objects unchanged.
struct no_reset {
    template <class T>
    void operator()(T&) const noexcept {}
};

// Factory: called with the arguments of get(), possibly by several threads at once; returns a T, which need not be
// movable.
// Reset: called with a T& by the thread that puts an object. If it returns false, the object is destroyed instead of
// kept.
//
// Objects that decay are destroyed by the thread that performs the tick: in the slow path of any pool of the process,
// in tick() or in a ticker, but never in an upstream's heartbeat, which may come while the program holds any lock.
//
// All members are thread-safe except the destructor, which needs exclusive access. get(), put() and borrow() take
// amortized constant time; a private hit is inlined, takes no lock and executes no locked instruction.
template <class T, class Factory = value_factory<T>, class Reset = no_reset>
class object_pool {
    static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>,
                  "an object pool's factory returns an object by value: neither a reference nor const");
    static_assert(std::is_nothrow_destructible_v<T>,
                  "objects are destroyed inside the pool, where no exception could be caught");

public:
    using value_type = T;

    // The deleter of a handle: puts the object back.
    class returner {
    public:
        returner() noexcept = default;
        explicit returner(object_pool& pool) noexcept : pool_(&pool) {}
        void operator()(T* object) const noexcept { pool_->put_quietly(object); }

    private:
        object_pool* pool_ = nullptr;
    };
    // Owns an object. Movable; must not outlive the pool.
    using handle = std::unique_ptr<T, returner>;

    // Throws std::invalid_argument if an option is out of range.
    explicit object_pool(Factory factory = {}, Reset reset = {}, const object_pool_options& options = {})
        : factory_(std::move(factory)),
          reset_(std::move(reset)),
          options_(options),
          engine_(detail::make_object_pool(sizeof(T), options_, {this, &dispose})),
          index_(detail::pool_index(*engine_)) {}
    object_pool(Factory factory, const object_pool_options& options)
        : object_pool(std::move(factory), Reset(), options) {}

    object_pool(const object_pool&) = delete;
    object_pool& operator=(const object_pool&) = delete;
    // Destroys the idle objects. The program must put or discard all others before.
    ~object_pool() = default;

    // Returns an idle object, or null if none is found. Never calls the factory.
    [[nodiscard]] T* try_get() noexcept { return static_cast<T*>(detail::allocate(*engine_, index_, 0)); }

    // Returns an idle object, or else a new one, for which the factory is given the arguments. Throws std::bad_alloc or
    // what the factory throws; the pool is then unchanged.
    template <class... Arguments>
    requires std::is_invocable_v<Factory&, Arguments...>
    [[nodiscard]] T* get(Arguments&&... arguments) {
        if (T* object = try_get()) [[likely]]
            return object;
        return make(std::forward<Arguments>(arguments)...);
    }

    // The same as get(), with a handle that puts the object back.
    template <class... Arguments>
    requires std::is_invocable_v<Factory&, Arguments...>
    [[nodiscard]] handle borrow(Arguments&&... arguments) {
        return handle(get(std::forward<Arguments>(arguments)...), returner(*this));
    }

    // Resets the object and keeps it for reuse. `object` must come from this pool; the caller may not use it
    // afterwards. Does nothing if it is null. If the reset throws, the object is destroyed and the exception is
    // rethrown.
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

    // Takes over an object that was made elsewhere with new, as put(). It ends with delete.
    void put(std::unique_ptr<T> object) {
        if (!object) return;
        detail::note_created(*engine_, object.get());
        put(object.release());
    }

    // Destroys an object of this pool instead of putting it back. Does nothing if it is null.
    void discard(T* object) noexcept {
        if (!object) return;
        detail::note_destroyed(*engine_, object);
        destroy(object);
    }

    // Destroys idle objects of all threads until at most keep_objects are left. Returns the number destroyed.
    std::size_t trim(std::size_t keep_objects = 0) noexcept {
        constexpr std::size_t most = static_cast<std::size_t>(-1);
        const std::size_t keep_bytes = keep_objects > most / sizeof(T) ? most : keep_objects * sizeof(T);
        return detail::trim(*engine_, keep_bytes) / sizeof(T);
    }

    // Ages the pool by one tick. Destroys the objects that were not used for two ticks before it returns.
    void tick() noexcept { detail::tick(*engine_); }

    tidepool::stats stats() const noexcept { return detail::snapshot(*engine_); }
    object_pool_options options() const noexcept { return options_; }

private:
    // Destroys the object unless it is cleared: used by put() if the reset rejects the object or throws.
    struct doomed {
        object_pool* pool;
        T* object;
        ~doomed() { pool->discard(object); }
    };

    bool reset(T& object) {
        if constexpr (std::is_convertible_v<std::invoke_result_t<Reset&, T&>, bool>)
            return reset_(object);
        else
            return reset_(object), true;
    }

    // Puts the object of a handle back. If the reset throws, the object is destroyed and the exception is dropped,
    // since a destructor may not throw.
    void put_quietly(T* object) noexcept {
        TIDEPOOL_TRY { put(object); }
        TIDEPOOL_CATCH_ALL {}
    }

    template <class... Arguments>
    [[gnu::noinline]] T* make(Arguments&&... arguments) {
        T* object = new T(factory_(std::forward<Arguments>(arguments)...));
        detail::note_created(*engine_, object);
        return object;
    }

    static void destroy(T* object) noexcept { delete object; }

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
template <class Factory>
object_pool(Factory, object_pool_options) -> object_pool<std::invoke_result_t<Factory&>, Factory>;
template <class Factory, class Reset>
object_pool(Factory, Reset, object_pool_options) -> object_pool<std::invoke_result_t<Factory&>, Factory, Reset>;

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

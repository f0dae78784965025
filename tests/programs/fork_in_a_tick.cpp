// The program's own code forks while a tick calls it: the end of an object, and an upstream. The child goes on with the
// tick, its counts are those of one process, and its pools can end.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "scale.hpp"

#include <tidepool/tidepool.hpp>

namespace {

using namespace std::chrono_literals;

bool armed = false;
pid_t child = -1;

void fork_once() {
    if (armed && child == -1) child = ::fork();
}

bool failed = false;
void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "check failed in the %s: %s\n", child == 0 ? "child" : "parent", what);
    failed = true;
}

// For both processes: the child ends here.
void end_child() {
    if (child == 0) ::_exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
    int status = -1;
    require(child > 0 && ::waitpid(child, &status, 0) == child && status == 0, "the child has ended well");
    armed = false;
    child = -1;
}

struct helper {
    ~helper() { fork_once(); }
};

struct forking_upstream {
    static void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    }
    static void deallocate(void* p, std::size_t, std::size_t) noexcept {
        fork_once();
        std::free(p);
    }
};

void an_object_ends() {
    tidepool::object_pool_options options;
    options.decay_interval = 0ms;
    auto pool = std::make_unique<tidepool::object_pool<helper>>(tidepool::value_factory<helper>{}, tidepool::no_reset{},
                                                                options);
    for (int i = 0; i < 2; ++i) {
        std::vector<helper*> several;
        for (int n = 0; n < 200; ++n) several.push_back(pool->get());
        for (helper* each : several) pool->put(each);
    }
    armed = true;
    for (int i = 0; i < 3; ++i) tidepool::tick();
    require(pool->stats().bytes_cached == 0, "the ticks have emptied the pool");
    { auto again = pool->borrow(); }
    pool.reset();
    end_child();
}

void an_upstream_is_called(bool by_a_due_tick) {
    forking_upstream below;
    tidepool::pool_options options;
    options.decay_interval = by_a_due_tick ? 5ms : 0ms;
    options.source = tidepool::block_source::direct;
    auto pool = std::make_unique<tidepool::pool_resource>(options, below);
    std::vector<void*> blocks;
    for (int i = 0; i < 1000; ++i) blocks.push_back(pool->allocate(100));
    for (void* each : blocks) pool->deallocate(each, 100);
    armed = true;
    if (by_a_due_tick)
        while (child == -1) pool->deallocate(pool->allocate(5000), 5000);
    else
        for (int i = 0; i < 3; ++i) pool->tick();
    pool->trim();
    require(pool->stats().bytes_cached == 0, "nothing is cached");
    // A tick is performed by one at a time also here, and not by nobody.
    if (by_a_due_tick)
        for (const auto before = pool->stats().ticks; pool->stats().ticks < before + 2;)
            pool->deallocate(pool->allocate(5000), 5000);
    pool.reset();
    end_child();
}

}  // namespace

int main() {
    if (support::under_tsan) return EXIT_SUCCESS;
    ::alarm(60);
    an_object_ends();
    an_upstream_is_called(false);
    an_upstream_is_called(true);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

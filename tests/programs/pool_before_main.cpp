// A pool that is constructed before main and destroyed after it, with containers of the same lifetime, and static
// objects that use the default pool.
//
// Passes by exiting with 0; code that runs after main ends the program with 1 if it finds an error.
#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory_resource>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/allocator.hpp>
#include <tidepool/object_pool.hpp>
#include <tidepool/pool_resource.hpp>
#include <tidepool/tick.hpp>

#include "plain_books.hpp"

namespace {

using programs::require;
using text = std::basic_string<char, std::char_traits<char>, tidepool::allocator<char>>;

void churn(std::pmr::memory_resource& pool) {
    std::pmr::map<int, std::pmr::string> lines(&pool);
    for (int i = 0; i < 2000; ++i) lines.emplace(i, std::pmr::string(static_cast<std::size_t>(i) % 300, 'x', &pool));
    require(lines.size() == 2000, "a map holds what was put into it");
}

// Static objects are destroyed in reverse order, so the final check is declared first.
programs::plain_books books;

struct last_judge {
    ~last_judge() {
        require(books.used(), "the pool has used its upstream");
        require(books.balanced(), "the upstream got everything back when the pool ended");
        // The default pool is never destroyed: it still serves, although the thread's state is gone by now.
        text late(1000, 'x');
        for (int i = 0; i < 100; ++i) late += text(static_cast<std::size_t>(i) * 20, 'y');
        require(late.size() == 100'000, "the default pool serves in a static destructor");
        tidepool::tick();
    }
} judge;

std::vector<text, tidepool::allocator<text>> ends_after_the_pool(100, text(500, 'a'));

int objects_alive = 0;
struct counted {
    counted() { ++objects_alive; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --objects_alive; }
};

struct object_judge {
    ~object_judge() { require(objects_alive == 0, "the object pool ended with its idle objects"); }
} of_objects;

tidepool::pool_resource pool(books);
tidepool::object_pool<counted> objects;
std::pmr::vector<std::pmr::string> ends_before_the_pool(&pool);

// Uses the pool from before main until after it.
struct early_user {
    early_user() {
        churn(pool);
        std::thread([] { churn(pool); }).join();
        objects.put(objects.get());
        for (int i = 0; i < 500; ++i) ends_before_the_pool.emplace_back(200, 'b');
    }
    ~early_user() {
        churn(pool);
        std::thread([] { churn(pool); }).join();
        objects.put(objects.get());
        ends_before_the_pool.emplace_back(3000, 'c');
    }
} user;

void at_exit() {
    churn(pool);
    ends_before_the_pool.emplace_back(3000, 'd');
    ends_after_the_pool.emplace_back(3000, 'e');
    objects.put(objects.get());
    pool.tick();
}

}  // namespace

int main() {
    require(std::atexit(at_exit) == 0, "atexit has room");
    require(ends_before_the_pool.size() == 500 && ends_before_the_pool[499].size() == 200,
            "what was built before main is there in main");
    churn(pool);
    pool.tick();
    pool.tick();
    churn(pool);
    ends_before_the_pool.resize(100);
    require(ends_after_the_pool[99].size() == 500, "what the default pool gave before main is there in main");
    return 0;
}

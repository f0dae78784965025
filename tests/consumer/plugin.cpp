// A shared library with the static one inside.
#include <memory_resource>
#include <vector>

#include <tidepool/pool_resource.hpp>

extern "C" int plugin_serves() {
    tidepool::pool_resource pool;
    const std::pmr::vector<int> numbers(1000, 7, &pool);
    return numbers.back() == 7 && pool.stats().bytes_in_use > 0;
}

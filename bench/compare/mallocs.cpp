// tidepool-compare-mallocs WORK THREADS LEAST MOST OPERATIONS: a work of the comparison on malloc and free, whosever
// they are. A plain program that knows nothing of Tidepool.
#include "common/sources.hpp"
#include "compare/works.hpp"

int main(int argc, char** argv) {
    using namespace bench;
    if (argc != 6) return EXIT_FAILURE;
    return compare::say(compare::run(plain_malloc<std::malloc, std::free>(), compare::task_of(argv)));
}

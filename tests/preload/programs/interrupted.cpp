// Threads are stopped inside malloc while others go on, and processes at any moment: interrupted.hpp.
#include "interrupted.hpp"

#include <malloc.h>

#include <cstring>

#include "program.hpp"

namespace {

struct work {
    static void use() noexcept {
        constexpr std::size_t count = 300;
        constexpr std::size_t sizes[]{16, 100, 700, 3000, 20'000, 50'000, 300'000};
        unsigned char* held[count];
        for (int turn = 0; turn < 3; ++turn) {
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t bytes = sizes[i % 64 == 0 ? 6 : i % 6];
                held[i] = static_cast<unsigned char*>(std::malloc(bytes));
                programs::require(held[i], "there is memory");
                held[i][0] = held[i][bytes - 1] = static_cast<unsigned char>(i);
            }
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t bytes = sizes[i % 64 == 0 ? 6 : i % 6];
                const auto is = static_cast<unsigned char>(i);
                programs::require(held[i][0] == is && held[i][bytes - 1] == is, "a block keeps its contents");
                std::free(held[i]);
            }
        }
    }
    static void return_all() noexcept { malloc_trim(0); }
};

}  // namespace

int main() {
    alarm(280);
    interrupted::park<work>(6);
    interrupted::stop<work>(40);
}

// src: source/contents.hpp
#include "source/contents.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

namespace contents = tidepool::detail::contents;

namespace {

constexpr std::size_t sizes[] = {16, 32, 64, contents::whole_max, contents::whole_max + 64, 3072, 20480, 32768};

}  // namespace

TEST_CASE("what was filled is unchanged, and a changed byte at either end is found") {
    for (const std::size_t bytes : sizes)
        for (const std::size_t asked : {std::size_t{1}, bytes / 2, bytes - 1, bytes}) {
            CAPTURE(bytes);
            CAPTURE(asked);
            std::vector<unsigned char> block(bytes, 1);
            contents::fill_idle(block.data(), bytes, asked);
            CHECK(contents::changed_idle(block.data(), bytes, asked) == contents::no_change);
            for (const std::size_t at : {std::size_t{0}, std::size_t{15}, asked - 1, bytes - 1}) {
                const unsigned char before = block[at];
                if (at >= contents::front && at + contents::back < asked) continue;
                block[at] ^= 1;
                CHECK(contents::changed_idle(block.data(), bytes, asked) == at);
                block[at] = before;
            }
        }
}

TEST_CASE("of a large block one in many is filled and looked at as a whole") {
    std::vector<unsigned char> memory(1024 * 4096);
    int whole = 0;
    for (std::size_t i = 0; i < 1024; ++i) {
        unsigned char* block = memory.data() + i * 4096;
        contents::fill_idle(block, 4096, 4096);
        block[2048] ^= 1;
        const std::size_t at = contents::changed_idle(block, 4096, 4096);
        CHECK((at == 2048 || at == contents::no_change));
        whole += at == 2048;
    }
    CHECK(whole > 16);
    CHECK(whole < 512);
}

TEST_CASE("spare room is filled with bytes that are neither zero nor letters") {
    unsigned char room[40] = {};
    contents::fill_spare(room, sizeof room);
    CHECK(contents::changed_spare(room, sizeof room) == contents::no_change);
    CHECK(contents::changed_spare(room, 0) == contents::no_change);
    for (const unsigned char each : room) CHECK(each >= 0x80);
    room[39] = 0;
    CHECK(contents::changed_spare(room, sizeof room) == 39);
    room[0] = 'x';
    CHECK(contents::changed_spare(room, sizeof room) == 0);
}

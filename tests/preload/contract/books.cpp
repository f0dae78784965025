// malloc_trim returns memory; mallinfo, mallinfo2, malloc_stats and malloc_info report it.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "contract.hpp"
#include "memory_use.hpp"
#include "worker.hpp"

using namespace contract;

namespace {

// Allocates `total` bytes in blocks of pooled sizes, writes to all of them and frees them.
void take_and_free(std::size_t total) {
    std::vector<void*> blocks;
    blocks.reserve(total / 600);
    for (std::size_t taken = 0, i = 0; taken < total; ++i) {
        constexpr std::array<std::size_t, 6> sizes{600, 1000, 4096, 16384, 2048, 30'000};
        const std::size_t bytes = sizes[i % sizes.size()];
        blocks.push_back(std::malloc(bytes));
        fill(blocks.back(), bytes, i);
        taken += bytes;
    }
    for (void* p : blocks) std::free(p);
}

// Returns what the callable writes to stderr.
template <class Call>
std::string stderr_of(Call call) {
    std::FILE* file = std::tmpfile();
    REQUIRE(file);
    std::fflush(stderr);
    const int kept = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    call();
    std::fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    std::string text(65536, '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
}

// Whether every tag is closed, in the right order, within one root: enough of XML to check this writer.
bool is_well_formed(const std::string& text) {
    std::vector<std::string> open;
    int roots = 0;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] != '<') {
            if (open.empty() && !std::isspace(static_cast<unsigned char>(text[at]))) return false;
            if (text[at] == '>' || text[at] == '&') return false;
            ++at;
            continue;
        }
        const std::size_t end = text.find('>', at);
        if (end == std::string::npos) return false;
        const std::string tag = text.substr(at + 1, end - at - 1);
        at = end + 1;
        if (tag.empty()) return false;
        std::size_t quotes = 0;
        for (const char each : tag) quotes += each == '"';
        if (quotes % 2 != 0) return false;
        if (tag[0] == '?') continue;
        if (tag[0] == '/') {
            if (open.empty() || open.back() != tag.substr(1)) return false;
            open.pop_back();
            continue;
        }
        roots += open.empty();
        if (tag.back() != '/') open.push_back(tag.substr(0, tag.find_first_of(" \n\t")));
    }
    return open.empty() && roots == 1;
}

}  // namespace

TEST_CASE("malloc_trim returns idle memory of sleeping threads") {
    constexpr std::size_t each = 32 * mib;
    std::vector<std::unique_ptr<support::worker>> sleepers;
    for (int i = 0; i < 3; ++i) sleepers.push_back(std::make_unique<support::worker>());
    malloc_trim(0);
    const std::size_t before = support::resident_bytes();
    std::vector<void*> held;  // holds the peak of all three, so that none reuses what another has freed
    for (auto& sleeper : sleepers) sleeper->start([] { take_and_free(each); });
    for (auto& sleeper : sleepers) sleeper->wait();

    const std::size_t idle = support::resident_bytes();
    const auto [did, error] = with_errno([] { return malloc_trim(0); });
    const std::size_t after = support::resident_bytes();
    CAPTURE(before);
    CAPTURE(idle);
    CAPTURE(after);
    CHECK(error == untouched);
    // The malloc may have returned much of it before; it returns the rest now.
    if (idle > before + 4 * mib) CHECK(did == 1);
    CHECK(after < before + 8 * mib);
    take_and_free(mib);
}

TEST_CASE("malloc_trim returns 0 or 1 for any pad") {
    for (const std::size_t pad : {std::size_t{0}, std::size_t{1}, mib, size_max / 2}) {
        take_and_free(mib);
        const int did = malloc_trim(opaque(pad));
        CHECK((did == 0 || did == 1));
    }
}

TEST_CASE("mallinfo2 counts bytes in use and idle bytes") {
    constexpr std::size_t count = 4000, bytes = 1000, large = 30 * mib;
    malloc_trim(0);
    const auto before = mallinfo2();
    std::vector<void*> blocks(count);
    for (void*& p : blocks) p = std::malloc(bytes);
    const auto held = mallinfo2();
    CHECK(held.uordblks >= before.uordblks + count * bytes);
    CHECK(held.uordblks <= before.uordblks + count * bytes * 5 / 4 + mib);
    for (void* p : blocks) std::free(p);
    const auto freed = mallinfo2();
    CHECK(freed.uordblks + count * bytes * 9 / 10 <= held.uordblks);

    void* p = std::malloc(large);
    const auto with_large = mallinfo2();
    CHECK(with_large.uordblks + with_large.hblkhd >= freed.uordblks + freed.hblkhd + large);
    std::free(p);
    const auto end = mallinfo2();
    CHECK(end.uordblks + end.hblkhd + large <= with_large.uordblks + with_large.hblkhd);
}

TEST_CASE("mallinfo2 shows that malloc_trim returned idle blocks") {
    if (!shim_promises()) return;  // glibc keeps the chunks and returns their pages
    support::worker sleeper;
    sleeper.run([] { take_and_free(16 * mib); });
    const std::size_t idle = mallinfo2().fordblks;
    malloc_trim(0);
    const std::size_t after = mallinfo2().fordblks;
    CAPTURE(idle);
    CAPTURE(after);
    CHECK(after <= idle);
    CHECK(after < 2 * mib);
}

TEST_CASE("mallinfo agrees with mallinfo2") {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    const auto small = mallinfo();
#pragma GCC diagnostic pop
    const auto wide = mallinfo2();
    CHECK(static_cast<std::size_t>(small.uordblks) <= wide.uordblks + mib);
    CHECK(static_cast<std::size_t>(small.uordblks) + mib >= wide.uordblks);
}

TEST_CASE("malloc_info writes well-formed XML") {
    CHECK(is_well_formed("<?xml version=\"1.0\"?><a>\n<b c=\"d\"/>x<e>1</e></a>\n"));
    for (const char* wrong : {"", "<a>", "<a></b>", "<a><b></a></b>", "<a/><b/>", "<a b=\"/>", "x<a/>", "<a>&</a>"})
        CHECK_FALSE(is_well_formed(wrong));

    char* text = nullptr;
    std::size_t length = 0;
    std::FILE* stream = open_memstream(&text, &length);
    REQUIRE(stream);
    const auto [status, error] = with_errno([&] { return malloc_info(0, stream); });
    std::fclose(stream);
    CHECK(status == 0);
    CHECK(error == untouched);
    const std::string written(text, length);
    std::free(text);
    CAPTURE(written);
    CHECK(written.find("<malloc") != std::string::npos);
    CHECK(is_well_formed(written));
}

TEST_CASE("malloc_info rejects options") {
    std::FILE* stream = std::tmpfile();
    REQUIRE(stream);
    CHECK(malloc_info(1, stream) != 0);
    std::fflush(stream);
    CHECK(std::ftell(stream) == 0);
    std::fclose(stream);
}

TEST_CASE("malloc_stats writes to stderr") {
    const std::string text = stderr_of([] { malloc_stats(); });
    CHECK(!text.empty());
    CHECK(text.back() == '\n');
}

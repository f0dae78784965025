// The shim's settings (adapters/preload/settings.cpp) from any environment: each wrong name or value costs one line on
// stderr, which names it, what is allowed, and what holds instead; all others are in effect; nothing else is written.
//
// An input is a list of settings, with a zero behind each. What begins with a small letter is a shorthand for the name
// of a variable.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bytes.hpp"
#include "require.hpp"

// Where the lines go, since stderr is the sanitizers'. The headers that settings.cpp includes are here before.
#include <sys/auxv.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>

#include "adapters/preload/settings.hpp"
#include "base/uncancelled.hpp"

namespace {
const int said_to = ::memfd_create("lines", 0);
}
#undef STDERR_FILENO
#define STDERR_FILENO said_to
#include "adapters/preload/settings.cpp"

namespace {

using fuzz::bytes;
using fuzz::require;
using tidepool::preload::settings;

constexpr std::array<const char*, 8> names{"DECAY_MS",    "LOCAL_BYTES", "DEPOT_BYTES", "IDLE_BYTES",
                                           "IGNORE_SIZE", "BACKGROUND",  "STATS",       "OPTIONS"};

// What the README promises, stated again.
class model {
public:
    void read(const std::vector<std::string>& environment) {
        for (const bool options : {true, false})
            for (const std::string& each : environment) {
                const std::size_t equals = each.find('=');
                if (!each.starts_with("TIDEPOOL_") || each.starts_with("TIDEPOOL_TEST") || equals == std::string::npos)
                    continue;
                const std::string name = lower(each.substr(9, equals - 9)), value = each.substr(equals + 1);
                if ((name == "options") != options) continue;
                options ? read_list(value) : set(name, value);
            }
    }

    std::array<long, 6> numbers{1000, 262144, 16777216, 134217728, 0, 0};
    bool stats = false;
    std::string stats_file;
    std::size_t refused = 0;

private:
    static std::string lower(std::string text) {
        for (char& c : text)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        return text;
    }

    void read_list(const std::string& list) {
        for (std::size_t at = 0; at <= list.size();) {
            const std::size_t end = std::min(list.find(',', at), list.size());
            const std::string item = list.substr(at, end - at);
            at = end + 1;
            if (item.empty()) continue;
            const std::size_t equals = std::min(item.find('='), item.size());
            set(item.substr(0, equals), equals == item.size() ? "" : item.substr(equals + 1));
        }
    }

    static std::optional<long> number(const std::string& text) {
        const std::size_t sign = text.starts_with('-');
        if (text.size() == sign) return {};
        __int128 value = 0;
        for (const char c : text.substr(sign)) {
            if (c < '0' || c > '9') return {};
            value = std::min<__int128>(value * 10 + (c - '0'), __int128{1} << 70);
        }
        if (value > LONG_MAX) return {};
        return static_cast<long>(sign ? -value : value);
    }

    void set(const std::string& name, const std::string& value) {
        constexpr std::array<long, 6> most{86'400'000, LONG_MAX, LONG_MAX, LONG_MAX, 1, 1};
        for (std::size_t i = 0; i < most.size(); ++i)
            if (name == lower(names[i])) {
                const std::optional<long> wanted = number(value);
                const bool allowed = wanted && *wanted >= 0 && *wanted <= most[i];
                if (allowed) numbers[i] = *wanted;
                refused += !allowed;
                return;
            }
        if (name != "stats") {
            ++refused;
        } else if (value == "0" || value == "1") {
            stats = value == "1";
            stats_file.clear();
        } else if (value.ends_with(".json") && value.size() < PATH_MAX) {
            stats = true;
            stats_file = value;
        } else {
            ++refused;
        }
    }
};

std::string take_lines() {
    std::string text(static_cast<std::size_t>(::lseek(said_to, 0, SEEK_CUR)), '\0');
    require(::pread(said_to, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()), "the lines are there");
    require(::ftruncate(said_to, 0) == 0 && ::lseek(said_to, 0, SEEK_SET) == 0, "the lines are taken");
    return text;
}

void require_lines(const std::string& text, std::size_t count) {
    std::size_t found = 0;
    for (std::size_t at = 0; at < text.size(); ++found) {
        const std::size_t end = text.find('\n', at);
        require(end != std::string::npos, "a line ends");
        const std::string line = text.substr(at, end - at);
        at = end + 1;
        require(line.starts_with("tidepool: ") && line.find(": allowed is ") != std::string::npos,
                "a line says what is "
                "allowed: %s",
                line.c_str());
        for (const char c : line)
            require(static_cast<unsigned char>(c) >= ' ' && c != 127, "a line has no control character");
    }
    require(found == count, "each of %zu mistakes costs a line; there are %zu", count, found);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    bytes in(data, size);
    std::vector<std::string> environment;
    while (!in.done()) {
        std::string text = in.text(0);
        if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
            text = std::string("TIDEPOOL_") + names[static_cast<std::size_t>(text[0]) % names.size()] + text.substr(1);
        environment.push_back(std::move(text));
    }
    std::vector<char*> pointers;
    for (std::string& each : environment) pointers.push_back(each.data());
    pointers.push_back(nullptr);

    settings now;
    char** const before = std::exchange(environ, pointers.data());
    now.read();
    environ = before;

    model wanted;
    wanted.read(environment);
    require_lines(take_lines(), wanted.refused);
    const std::array<long, 6> numbers{now.decay_ms,   now.local_bytes, now.depot_bytes,
                                      now.idle_bytes, now.ignore_size, now.background};
    require(numbers == wanted.numbers, "numbers are in effect");
    require(now.stats == wanted.stats, "stats is in effect");
    require(!now.stats || wanted.stats_file == settings::stats_file.data(), "the file of stats is in effect");
    return 0;
}
